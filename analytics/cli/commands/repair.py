"""``annals repair``: make damaged data whole again from copies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analytics.cli.effective_settings import in_force
from analytics.cli.options import AsJson, example
from annals.errors import IntegrityError, PartialError

if TYPE_CHECKING:
    from operations.repair import Repair

Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Transcripts to read again, or archives of `annals backup` to take copies from.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only report what would be repaired.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File whose first line is the passphrase of the archives."),
]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals repair --dry-run"))(repair)


def repair(
    context: typer.Context,
    files: Files = None,
    dry_run: DryRun = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Repair the lake from transcripts, stores or a backup.

    The stores are the buffer and MongoDB. Damaged files are set aside, never deleted. Exit code 6:
    a named file is not known, or a record has no whole copy. Exit code 9: rows of a damaged file
    were found nowhere; nothing of it was changed.
    """
    from analytics.cli.commands.backup import passphrase_from
    from analytics.cli.output import as_members, print_json
    from operations import repair as repairs

    found = in_force(context)
    passphrase = passphrase_from(passphrase_file)
    report = repairs.repair(found.settings, files or [], passphrase=passphrase, dry_run=dry_run)
    if as_json:
        print_json({"complete": report.is_complete, **as_members(report)})
    else:
        _show(report)
    if report.lake is not None and not report.lake.is_complete:
        raise typer.Exit(IntegrityError.exit_code)
    if report.unknown or (report.appended and report.appended.records_quarantined):
        raise typer.Exit(PartialError.exit_code)


def _show(report: Repair) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import count, make_printable

    _show_lake(report)
    if report.appended and report.appended.entries_new:
        say(f"{count(report.appended.entries_new)} records that the lake lacked were appended")
    for path in report.queued:
        say(f"to be read again by the next `annals pipeline`: {make_printable(path)}")
    for path in report.unknown:
        say(f"not a transcript that was read: {make_printable(path)}")


def _show_lake(report: Repair) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import count, make_printable

    lake = report.lake
    if lake is None or not (lake.files or lake.recovered_metadata):
        say("no lake exists yet" if lake is None else "no damaged file in the lake")
        return
    lines = [f"damaged: {path}" for path in lake.files]
    if lake.recovered_metadata:
        lines.append(f"recovered: {lake.recovered_metadata} is the newest metadata now")
    lines += [f"set aside: {path}" for path in lake.set_aside]
    for line in lines:
        say(make_printable(line))
    done = "rows would be written again" if report.dry_run else "rows written again"
    say(f"{count(lake.rows_appended)} {done}, {count(lake.rows_missing)} rows missing")
    if lake.rows_missing:
        say(
            "nothing was changed; name an archive of `annals backup` that has them"
            " (`annals repair FILE`), or set MONGO_URI if a server has them"
        )
