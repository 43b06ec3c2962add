"""A stage of :mod:`flows.stages`, run as a flow in this process.

Prefect's server keeps the record of it; it works with the caller's settings, returns the same
report and raises the same errors.
"""

from __future__ import annotations

from typing import Any

from prefect import tags

from annals.settings import Settings
from annals.telemetry import Progress
from flows.prefect import stages
from flows.prefect.pipeline import pipeline
from flows.prefect.work import given

_FLOWS = {
    **{flow.name: flow for flow in (stages.extract, stages.load, stages.transform, stages.publish)},
    "pipeline": pipeline,
}


def run_stage(name: str, settings: Settings, *, progress: Progress, **parameters: Any) -> Any:
    """Run a stage as a flow; return its report, raise what it raises."""
    with given(settings, progress), tags("annals", "command-line"):
        return _FLOWS[name](**parameters)
