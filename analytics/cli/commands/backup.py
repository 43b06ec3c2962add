"""``annals backup`` and ``annals restore``: one verified archive, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analytics.cli.effective_settings import configured, in_force
from analytics.cli.options import AsJson, example

_PASSPHRASE_BYTES = 64 * 1024

To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="FILE", help="The archive to write; default in ANNALS_HOME/backups."
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File whose first line is the passphrase; without it: not encrypted."
    ),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for a pipeline that is running.")]
Archive = Annotated[Path, typer.Argument(metavar="FILE", help="An archive that backup wrote.")]


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    app.command(**example("annals backup --to /mnt/usb/annals.tar --passphrase-file ~/key"))(backup)
    app.command(**example("annals restore /mnt/usb/annals.tar --passphrase-file ~/key"))(restore)


def backup(
    context: typer.Context,
    to: To = None,
    passphrase_file: PassphraseFile = None,
    wait: Wait = 600,
    as_json: AsJson = False,
) -> None:
    """Write lake, buffer and settings into a verified archive.

    The catalog is part of the lake. Agent and pipeline may be running. Secrets are left out;
    warehouse and builds are, too, because they are made from the lake. With a passphrase the
    archive is encrypted (age).
    """
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import count, size
    from annals.settings.files import at_home
    from annals.telemetry.terminal import terminal_progress
    from operations import backup as archives

    found = in_force(context)
    passphrase = passphrase_from(passphrase_file)
    target = to or archives.default_archive(found.settings, encrypted=passphrase is not None)
    with terminal_progress() as progress:
        report = archives.backup(
            found.settings,
            at_home(target).absolute(),
            passphrase=passphrase,
            patience=wait,
            progress=progress,
        )
    if as_json:
        print_json({"backup": as_members(report), "sample": found.sample})
        return
    kind = "encrypted" if report.encrypted else "not encrypted"
    say(f"{report.archive}  {size(report.bytes)}, {kind}, verified")
    say(f"{count(report.files)} files, {size(report.bytes_kept)}")


def restore(
    context: typer.Context,
    archive: Archive,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore an archive into an empty state folder.

    ANNALS_HOME and SQLITE_PATH name the folders. The archive is verified before anything is
    written, and nothing is half restored. The lake may go to another folder than it came from.
    """
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import count, size
    from annals.settings.files import at_home
    from annals.telemetry.terminal import terminal_progress
    from operations import backup as archives

    settings = configured(context)
    with terminal_progress() as progress:
        report = archives.restore(
            settings,
            at_home(archive).absolute(),
            passphrase=passphrase_from(passphrase_file),
            progress=progress,
        )
    if as_json:
        print_json({"restore": as_members(report)})
        return
    say(f"{count(report.files)} files, {size(report.bytes)} restored")
    for note in report.notes:
        say(f"note: {note}")


def passphrase_from(path: Path | None) -> str | None:
    """Return the first line of a file; raise UsageError where there is none."""
    from annals.errors import UsageError
    from annals.limits import read_file
    from annals.settings.files import at_home

    if path is None:
        return None
    try:
        lines = read_file(at_home(path), limit=_PASSPHRASE_BYTES).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the passphrase file {path} cannot be read: {error}",
            hint="Name a text file whose first line is the passphrase.",
        ) from error
    if not lines or not lines[0]:
        raise UsageError(
            f"the passphrase file {path} is empty", hint="Write the passphrase into its first line."
        )
    return lines[0]
