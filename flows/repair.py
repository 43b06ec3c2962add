"""``repair``: make damaged data whole again from copies: transcripts, buffer, MongoDB, a backup.

The lake is repaired first. A transcript that is named is read again from its start; what the lake
lacks is appended, and bronze keeps each id once.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from analytics.errors import DiskFullError, LakeDamageError, UsageError
from analytics.limits import TooLargeError, copy_bounded
from analytics.locks import exclusive
from analytics.settings import Settings

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from extractors.repair import RepairReport

_SPARE_BYTES = 64 * 1024 * 1024
_ARCHIVES = (".tar.zst", ".age.tar", ".tar")


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did, or with ``dry_run`` would do.

    ``lake`` is None if there is no lake yet. ``queued`` are the transcripts to be read again by
    the next pipeline; ``appended`` is what the lake lacked and a source still held.
    """

    lake: RepairReport | None
    queued: tuple[str, ...]
    unknown: tuple[str, ...]
    appended: ExtractReport | None
    dry_run: bool

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to repair."""
        return not self.unknown and (self.lake is None or self.lake.is_complete)


def repair(
    settings: Settings,
    files: Sequence[Path] = (),
    *,
    passphrase: str | None = None,
    dry_run: bool = False,
) -> Repair:
    """Repair the lake, and have the named transcripts read again.

    A file is a transcript, or an archive of ``annals backup``, which then is one more source of
    whole copies. Raises UsageError for an archive that is not one, LockedError (exit 7) while the
    pipeline runs, LakeDamageError (exit 9) if the lake's metadata has no whole version.
    """
    archives = [file for file in files if file.name.endswith(_ARCHIVES)]
    transcripts = [str(file) for file in files if file not in archives]
    with exclusive(settings.pipeline_lock, role="repair", what="the pipeline"):
        lake = _repair_lake(settings, archives, passphrase, dry_run=dry_run)
        queued, unknown = _queue(settings, transcripts, dry_run=dry_run)
        appended = None if dry_run or lake is None else _append_missing(settings)
    return Repair(lake, queued, unknown, appended, dry_run)


def _repair_lake(
    settings: Settings, archives: Sequence[Path], passphrase: str | None, *, dry_run: bool
) -> RepairReport | None:
    from extractors.repair import repair_lake

    if not settings.lake_folder.is_dir() or not any(settings.lake_folder.iterdir()):
        return None
    if not archives:
        return repair_lake(settings, dry_run=dry_run)
    with tempfile.TemporaryDirectory(prefix="repair-", dir=settings.annals_home) as folder:
        held = Path(folder)
        for archive in archives:
            _unpack_data_files(archive, passphrase, held)
        return repair_lake(settings, dry_run=dry_run, copies=lambda path: _copies(held, path))


def _unpack_data_files(archive: Path, passphrase: str | None, folder: Path) -> None:
    """Write the data files of an archive's lake into ``folder``, under names of our own."""
    from flows.backup import archive as archives

    if not archive.is_file():
        raise UsageError(f"there is no archive at {archive}", hint="Name an archive of `backup`.")
    left = max(0, shutil.disk_usage(folder).free - _SPARE_BYTES)
    with archives.reading(archive, passphrase) as tar:
        for member in tar:
            source = tar.extractfile(member) if _is_data_file(member) else None
            if source is not None:
                with closing(source), (folder / _copy_name(member.name)).open("wb") as target:
                    left -= _copy(source, target, left)


def _copy(source: IO[bytes], target: IO[bytes], left: int) -> int:
    try:
        return copy_bounded(source, target, limit=left)
    except TooLargeError as error:
        raise DiskFullError(
            f"the data files of the archive need more than the {left:,} bytes that are free",
            hint="Make room, or set ANNALS_HOME to another disk.",
        ) from error


def _is_data_file(member: tarfile.TarInfo) -> bool:
    return member.isreg() and member.name.endswith(".parquet")


def _copy_name(path: str) -> str:
    """Return the name of a copy: made of the file's own name, never a path of the archive."""
    return hashlib.sha256(Path(path).name.encode()).hexdigest()


def _copies(folder: Path, path: Path) -> Iterator[dict[str, Any]]:
    from extractors.salvage import salvage_rows

    copy = folder / _copy_name(path.name)
    if copy.exists():
        yield from salvage_rows(copy)


def _queue(
    settings: Settings, names: Sequence[str], *, dry_run: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not names or dry_run:
        return tuple(names), ()
    from sync_agent.requests import queue_rereads

    outcome = queue_rereads(settings, names, reason="repair")
    return outcome.queued, outcome.unknown


def _append_missing(settings: Settings) -> ExtractReport | None:
    """Append what sources still hold and the lake lacks, such as records behind a quarantine."""
    from extractors.extract import extract

    if settings.mongo_uri is None and not settings.sqlite_path.exists():
        return None
    try:
        return extract(settings, full_backfill=True)
    except LakeDamageError:
        return None  # the report says what is still missing
