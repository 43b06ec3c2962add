"""What a run is called in the list of runs: by whom, what, and when."""

from __future__ import annotations

from prefect.runtime import deployment, flow_run


def run_name() -> str:
    """Return who started the run, what it is asked beyond the usual, and the minute it began."""
    asked = [
        name.replace("_", "-") if value is True else f"{name.replace('_', '-')} {value}"
        for name, value in (flow_run.get_parameters() or {}).items()
        if value not in (False, None, "auto")
    ]
    who = deployment.get_name() or f"{flow_run.get_flow_name()} by hand"
    began = flow_run.get_scheduled_start_time().strftime("%Y-%m-%d %H:%M")
    return f"{who}: {', '.join(asked) or 'what is new'}, {began} UTC"
