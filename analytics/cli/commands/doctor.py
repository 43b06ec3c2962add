"""``annals doctor``: check the setup and suggest fixes."""

from __future__ import annotations

import typer

from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.options import AsJson, example


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals doctor --json"))(doctor)


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the setup and suggest fixes.

    It checks settings, transcripts, disk, agent and stores, and changes nothing. Exit code 5: a
    check failed; 3: the settings are wrong; warnings alone are 0.
    """
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import make_printable
    from operations.doctor import EXIT_FAILED, Verdict, examine

    found = in_force(context, uses=Uses.REPORTS)
    findings = examine(found.settings)
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    if as_json:
        print_json({"findings": as_members(findings), "counts": counts, "sample": found.sample})
    else:
        for one in findings:
            say(f"{one.verdict:<6}{one.check:<14}{make_printable(one.says)}")
            if one.remedy:
                say(f"{'':<20}-> {make_printable(one.remedy)}")
        say(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
    raise typer.Exit(EXIT_FAILED if counts[Verdict.FAIL] else 0)
