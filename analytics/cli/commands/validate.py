"""``annals validate``: proof that the data keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from analytics.cli.effective_settings import in_force
from analytics.cli.options import AsJson, example

if TYPE_CHECKING:
    from flows.validation.checks import Check

Deep = Annotated[
    bool,
    typer.Option("--deep", help="Read every file and every row of the lake again; trust nothing."),
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals validate --deep"))(validate)


def validate(context: typer.Context, as_json: AsJson = False, deep: Deep = False) -> None:
    """Check that nothing was lost, doubled or invented.

    Exit code 5: a data test failed. Exit code 6: places are not proven, or nothing was ever read.
    Exit code 9: stored data contradicts itself.
    """
    from analytics.cli.output import as_members, print_json, say
    from annals.telemetry.terminal import terminal_progress
    from flows.validation import promises as validation

    found = in_force(context)
    with terminal_progress() as progress:
        report = validation.validate(found.settings, deep=deep, progress=progress)
    if as_json:
        members = {"passed": report.exit_code == 0, **as_members(report)}
        print_json({**members, "sample": found.sample})
    else:
        for check in report.checks:
            _show(check)
        say("all promises are kept" if report.exit_code == 0 else "NOT all promises are kept")
    raise typer.Exit(report.exit_code)


def _show(check: Check) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import count, make_printable

    verdict = "skipped" if check.skipped else "FAILED" if check.faults else "ok"
    say(f"{verdict:<8}{check.name:<12}{check.promise}")
    if check.skipped:
        say(f"          {check.skipped}")
    for name, number in check.figures.items():
        say(f"          {name.replace('_', ' '):<22}{count(number):>16}")
    for note in check.notes:
        say(f"          {make_printable(note)}")
    for fault in check.faults:
        say(f"          fault: {make_printable(fault)}")
