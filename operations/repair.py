"""``repair``: make damaged data whole again from copies: transcripts, buffer, MongoDB, a backup.

The lake is repaired first. A transcript that is named is read again from its start; what the lake
lacks is appended, and bronze keeps each id once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from annals.access import claim_state
from annals.errors import LakeDamageError
from annals.lake import is_elsewhere
from annals.locks import exclusive
from annals.settings import Settings
from annals.settings.files import at_home

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from extractors.repair import RepairReport

_SPARE_BYTES = 64 * 1024 * 1024
_TRANSCRIPT = ".jsonl"
_ARCHIVES = (".tar.zst", ".age.tar", ".tar")


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did, or with ``dry_run`` would do.

    ``lake`` is None if no lake exists yet. ``queued`` are the transcripts to be read again by
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
    claim_state(settings)
    archives = [at_home(file) for file in files if _is_archive(file)]
    transcripts = [str(file) for file in files if not _is_archive(file)]
    with exclusive(settings.pipeline_lock, role="repair", what="the pipeline"):
        lake = _repair_lake(settings, archives, passphrase, dry_run=dry_run)
        queued, unknown = _queue(settings, transcripts, dry_run=dry_run)
        appended = None if dry_run or lake is None else _append_missing(settings)
    return Repair(lake, queued, unknown, appended, dry_run)


def _is_archive(file: Path) -> bool:
    """Return whether a named file is an archive, by its name or by what it begins with."""
    from operations.backup.archive import is_archive

    if file.suffix == _TRANSCRIPT:
        return False
    return file.name.endswith(_ARCHIVES) or is_archive(at_home(file))


def _repair_lake(
    settings: Settings, archives: Sequence[Path], passphrase: str | None, *, dry_run: bool
) -> RepairReport | None:
    from extractors.repair import repair_lake

    if not is_elsewhere(settings) and not _has_lake(settings):
        return None
    if not archives:
        return repair_lake(settings, dry_run=dry_run)
    with tempfile.TemporaryDirectory(prefix="repair-", dir=settings.annals_home) as folder:
        copies: dict[str, Path] = {}
        for archive in archives:
            copies |= _unpack_data_files(archive, passphrase, Path(folder))
        return repair_lake(settings, dry_run=dry_run, copies=copies)


def _has_lake(settings: Settings) -> bool:
    return settings.lake_folder.is_dir() and any(settings.lake_folder.iterdir())


def _unpack_data_files(archive: Path, passphrase: str | None, folder: Path) -> dict[str, Path]:
    """Write the data files of an archive's lake into ``folder``, under names of our own.

    Raises DiskFullError before the archive fills the disk, and IntegrityError if it is damaged.
    """
    from operations.backup.checking import unpack

    copies: dict[str, Path] = {}

    def take(name: str) -> IO[bytes] | None:
        if not name.endswith(".parquet"):
            return None
        copy = folder / f"{len(copies)}-{archive.stat().st_ino}.parquet"
        copies[name.rpartition("/")[2]] = copy
        return copy.open("xb")

    free = max(0, shutil.disk_usage(folder).free - _SPARE_BYTES)
    unpack(archive, passphrase, take, most_bytes=free)
    return copies


def _queue(
    settings: Settings, names: Sequence[str], *, dry_run: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from sync_agent.agent.requests import queue_rereads
    from sync_agent.reading.rereads import find_files

    if not names:
        return (), ()
    if dry_run:
        outcome = find_files(settings, names)
    else:
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
