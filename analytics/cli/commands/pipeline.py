"""``annals pipeline``: all stages in a row, and what they led to."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import typer

from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import InForce, in_force
from analytics.cli.options import AsJson, ClaudeDir, example
from analytics.cli.orchestration import AsFlow, stage_runner
from analytics.cli.output import say
from analytics.cli.refusals import leave_if_partial, warn_of_refusals

if TYPE_CHECKING:
    from flows.stages import PipelineReport
    from sync_agent.reading.ledger import Custody

_DAYS_SHOWN = 31


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals pipeline --claude-dir ~/.claude/projects"))(pipeline)


def pipeline(
    context: typer.Context,
    as_json: AsJson = False,
    claude_dir: ClaudeDir = None,
    as_flow: AsFlow = False,
) -> None:
    """Run every stage: transcripts to priced, published usage.

    Only what is new is worked on. Where the default CLAUDE_DIR holds no transcript and nothing
    was kept before, the bundled sample is used, with a state of its own; later commands find it
    the same way.
    """
    from analytics.cli.commands.sync import warn, warn_of_records, warn_of_shipping
    from sync_agent.reading.ledger import custody

    found = in_force(context, claude_dir=claude_dir)
    confirm_destinations(found.settings, "mongo_uri", "iceberg_catalog_uri", "s3_endpoint")
    started = time.monotonic()
    report = _run(found, as_flow=as_flow)
    seconds = time.monotonic() - started
    warn(report.sync)
    if report.ship:
        warn_of_shipping(report.ship)
    warn_of_refusals(report.extract)
    warn_of_records(report.extract)
    kept = custody(found.settings)
    if as_json:
        _print(report, kept, sample=found.sample, seconds=seconds)
    else:
        _show(report, kept, found=found, seconds=seconds)
    leave_if_partial(report)


def _run(found: InForce, *, as_flow: bool) -> PipelineReport:
    from annals.telemetry.terminal import terminal_progress
    from flows.history import noted
    from flows.partial import note_unfinished

    run_stage = stage_runner(found, as_flow=as_flow)
    with noted(found.settings, "pipeline") as run, terminal_progress() as progress:
        report: PipelineReport = run_stage("pipeline", found.settings, progress=progress)
        run.counters = report.counters()
        note_unfinished(run, report)
    return report


def _print(report: PipelineReport, kept: Custody, *, sample: bool, seconds: float) -> None:
    from analytics.cli.custody import custody_members
    from analytics.cli.output import as_members, print_json

    print_json(
        {
            "sample": sample,
            "nothing_new": report.nothing_new,
            "counters": report.counters(),
            "stages": {name: found for name, found in as_members(report).items() if found},
            "custody": custody_members(kept),
            "seconds": round(seconds, 3),
        }
    )


def _show(report: PipelineReport, kept: Custody, *, found: InForce, seconds: float) -> None:
    from analytics.cli.custody import show_custody
    from analytics.cli.nextsteps import next_commands

    if report.nothing_new:
        say(f"nothing new ({seconds:.1f} s)")
    else:
        _show_usage(found)
        say("")
    show_custody(kept)
    if not report.nothing_new:
        say("")
        say(f"done in {seconds:.1f} s; next:")
        for command, meaning in next_commands(found):
            say(f"  {command}  # {meaning}")


def _show_usage(found: InForce) -> None:
    """Print the newest days of the usage table."""
    from analytics.cli import reports
    from loaders.warehouse import open_build
    from reports import groups
    from reports.usage import Window

    with contextlib.closing(open_build(found.settings)) as build:
        days = groups.daily(build, Window(found.settings.timezone))
    if not days:
        roots = ", ".join(map(str, found.settings.claude_dirs))
        say(f"no usage in the transcripts below {roots}")
        return
    reports.show_days_by_model(days, newest=_DAYS_SHOWN)
