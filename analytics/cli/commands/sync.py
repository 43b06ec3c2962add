"""``annals sync``: from the transcripts to the buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from analytics.cli.commands import sync_again, sync_allow, sync_install, sync_status
from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import configured, in_force
from analytics.cli.options import AsJson, ClaudeDir, command_group, example
from analytics.cli.output import tell
from analytics.cli.refusals import leave_if_partial

if TYPE_CHECKING:
    from annals.settings import Settings
    from extractors.extract import ExtractReport
    from sync_agent.agent.once import SyncReport
    from sync_agent.agent.shipment import ShipReport

app = command_group("Read transcripts into the buffer.", sample="annals sync once")


@app.command(**example("annals sync once --claude-dir ~/.claude/projects"))
def once(context: typer.Context, as_json: AsJson = False, claude_dir: ClaudeDir = None) -> None:
    """Read new transcript lines into the buffer once.

    With MONGO_URI they are shipped there.
    """
    from analytics.cli.custody import custody_members, show_custody
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import count, size
    from annals.telemetry.terminal import terminal_progress
    from flows import stages
    from sync_agent.reading.ledger import custody

    found = in_force(context, claude_dir=claude_dir)
    confirm_destinations(found.settings, "mongo_uri")
    with terminal_progress() as progress:
        report = stages.sync(found.settings, progress=progress)
        warn(report)
        shipped = stages.ship(found.settings, progress=progress)
    if shipped:
        warn_of_shipping(shipped)
    kept = custody(found.settings)
    if as_json:
        print_json(
            {
                "sync": as_members(report),
                "ship": as_members(shipped) if shipped else None,
                "custody": custody_members(kept),
                "sample": found.sample,
            }
        )
    else:
        say(
            f"{count(report.entries_new)} new entries, {count(report.quarantined_new)} quarantined"
            f" ranges, {size(report.bytes_read)} read from {count(report.files_read)} files"
        )
        if shipped:
            say(f"{count(shipped.records_shipped)} records shipped to MongoDB")
        show_custody(kept)
    leave_if_partial(report, shipped)


@app.command(**example("annals sync run --claude-dir ~/.claude/projects"))
def run(context: typer.Context, claude_dir: ClaudeDir = None) -> None:
    """Watch the transcripts and read new lines until stopped.

    SIGTERM or Ctrl-C reads and ships what is left within SHUTDOWN_TIMEOUT_S and ends; a second
    one ends at once. With MONGO_URI records are shipped there. Ends with exit code 7 where another
    process holds the buffer. A folder that is missing is waited for.
    """
    from sync_agent.agent import supervisor

    settings = configured(context, claude_dir=claude_dir)
    confirm_destinations(settings, "mongo_uri", *_asked(settings))
    supervisor.run(settings, say=tell)


sync_status.register(app)
sync_again.register(app)
sync_install.register(app)
sync_allow.register(app)


def _asked(settings: Settings) -> tuple[str, ...]:
    """Return the setting of the server that the agent asks for runs, where it asks one."""
    return ("prefect_api_url",) if settings.pipeline_trigger == "prefect" else ()


def warn(report: SyncReport) -> None:
    """Say on standard error what was left out, and why."""
    from analytics.cli.tables import make_printable

    if report.left_to:
        tell(f"note: reading is left to {report.left_to}")
    for warning in report.warnings:
        tell(f"warning: {make_printable(warning)}")


def warn_of_shipping(report: ShipReport) -> None:
    """Say on standard error what the server did not take, and why."""
    from analytics.cli.tables import make_printable

    if report.left_to:
        tell(f"note: shipping is left to {report.left_to}")
    for warning in report.warnings:
        tell(f"warning: {make_printable(warning)}")


def warn_of_records(report: ExtractReport) -> None:
    """Print on standard error which records did not match their ids."""
    from analytics.cli.tables import make_printable

    for warning in report.warnings:
        tell(f"warning: {make_printable(warning)}")
