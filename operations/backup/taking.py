"""``backup``: everything that cannot be made again, in one archive, while all else goes on."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from annals import __version__
from annals.access import claim_state
from annals.errors import LockedError, UsageError
from annals.files import create_file, make_folder
from annals.lake import is_elsewhere, lake_place
from annals.locks import exclusive
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from loaders.lake import read_head
from operations.backup import archive
from operations.backup.checking import Hashing, verify
from operations.backup.contents import (
    Source,
    copy_buffer,
    copy_catalog,
    lake_files,
    lake_names,
    metadata_file,
    on_this_disk,
    require_own_catalog,
    settings_text,
)
from operations.backup.manifest import (
    BUFFER,
    CATALOG,
    LAKE,
    NAME,
    PRICES,
    SETTINGS,
    VERSION,
    LakeNames,
    Manifest,
    Member,
)

_LOOK_SECONDS = 0.2
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class BackupReport:
    """The archive that was written and read again: ``bytes`` on disk, ``bytes_kept`` unpacked."""

    archive: Path
    bytes: int
    bytes_kept: int
    files: int
    snapshot_id: int | None
    agent_id: str | None
    encrypted: bool


def default_archive(settings: Settings, *, encrypted: bool) -> Path:
    """Return where a backup goes that is given no name."""
    now = datetime.now(UTC)
    name = f"annals-{now:%Y%m%dT%H%M%SZ}{'.age.tar' if encrypted else '.tar.zst'}"
    return settings.annals_home / "backups" / name


def backup(
    settings: Settings,
    to: Path,
    *,
    passphrase: str | None = None,
    patience: float = 600,
    progress: Progress = NO_PROGRESS,
) -> BackupReport:
    """Write an archive of lake, catalog, buffer and settings to ``to``, and verify it.

    The agent may go on writing; the pipeline waits until the lake is copied, and a run that is
    under way is waited for, ``patience`` seconds at most (LockedError, exit 7). So what the buffer
    forgets meanwhile is in the lake that is copied. Warehouse and builds are made from the lake and
    left out. Raises UsageError where ``to`` exists or there is nothing to keep, SettingsError for a
    catalog in a database server, IntegrityError for a lake or buffer that is damaged.
    """
    given, to = to, _free_place(settings, to)
    claim_state(settings)
    _make_parent(given, settings)
    half = to.with_name(f".{to.name}.part")
    try:
        with _private(half) as file, archive.writing(file, passphrase) as tar:
            manifest = _write(settings, tar, patience=patience, progress=progress)
        verify(half, passphrase, progress=progress)
        half.replace(to)
        _sync(to.parent)
    finally:
        half.unlink(missing_ok=True)
    return BackupReport(
        archive=to,
        bytes=to.stat().st_size,
        bytes_kept=manifest.bytes,
        files=len(manifest.members),
        snapshot_id=manifest.snapshot_id,
        agent_id=manifest.agent_id,
        encrypted=passphrase is not None,
    )


def _free_place(settings: Settings, to: Path) -> Path:
    """Return the real place of the archive, where there is nothing yet."""
    to = Path(os.path.realpath(to.parent), to.name)
    if os.path.lexists(to):
        raise UsageError(f"{to} exists already", hint="Name another file; none is overwritten.")
    if to.is_relative_to(os.path.realpath(settings.lake_folder)):
        raise UsageError(f"{to} lies in the lake itself", hint="Name a file outside of it.")
    return to


def _make_parent(to: Path, settings: Settings) -> None:
    """Make the folder of the archive; the default one is ours and not a link."""
    if to.parent == settings.annals_home / "backups":
        make_folder(to.parent)
    make_folder(to.parent, named=True)


def _write(
    settings: Settings, tar: tarfile.TarFile, *, patience: float, progress: Progress
) -> Manifest:
    if not is_elsewhere(settings):
        require_own_catalog(settings)
    make_folder(settings.annals_home, named=True)
    with tempfile.TemporaryDirectory(prefix="backup-", dir=settings.annals_home) as folder:
        place = Path(folder)
        with _pipeline_at_rest(settings, patience):
            head = read_head(settings)
            names, sources = _lake(settings, place) if head else (None, [])
            members = _add(tar, sources, progress)
            agent_id = None
            if settings.sqlite_path.exists():  # after the lake: it forgets only what is in there
                agent_id = copy_buffer(settings.sqlite_path, place / BUFFER)
        if not members and agent_id is None:
            raise UsageError(
                f"there is nothing to back up: no lake ({lake_place(settings)}), no buffer at"
                f" {settings.sqlite_path}",
                hint="Set ANNALS_HOME and SQLITE_PATH to what you want to keep.",
            )
        members += _add(tar, _small(settings, place), progress)
    manifest = Manifest(
        version=VERSION,
        created_at=datetime.now(UTC),
        annals_version=__version__,
        timezone=settings.timezone,
        lake=names,
        snapshot_id=head.snapshot_id if head else None,
        agent_id=agent_id,
        members=tuple(members),
    )
    content = manifest.model_dump_json(indent=1).encode()
    _put(tar, NAME, io.BytesIO(content), len(content))
    return manifest


def _lake(settings: Settings, place: Path) -> tuple[LakeNames, list[Source]]:
    """Return the catalog's copy and the lake's files, after a look whether any is missing."""
    from extractors.lake.relocation import require_whole

    local = on_this_disk(settings, place / LAKE)
    catalog, names = require_own_catalog(local), lake_names(local)
    copy_catalog(catalog, place / CATALOG)
    require_whole(metadata_file(place / CATALOG, names))
    return names, [Source(CATALOG, place / CATALOG), *lake_files(local, catalog)]


def _small(settings: Settings, place: Path) -> Iterator[Source]:
    if (place / BUFFER).exists():
        yield Source(BUFFER, place / BUFFER)
    (place / SETTINGS).write_text(settings_text(settings), encoding="utf-8")
    yield Source(SETTINGS, place / SETTINGS)
    if settings.prices_csv is not None and settings.prices_csv.exists():
        yield Source(PRICES, settings.prices_csv)


def _add(tar: tarfile.TarFile, sources: Iterable[Source], progress: Progress) -> list[Member]:
    """Write files into the archive; return what each must be."""
    sources = list(sources)
    total = sum(source.path.stat().st_size for source in sources)
    members: list[Member] = []
    done = 0
    for source in sources:
        with source.path.open("rb") as file:
            hashing, size = Hashing(file), os.fstat(file.fileno()).st_size
            _put(tar, source.name, hashing, size)
        members.append(Member(path=source.name, size=size, sha256=hashing.hexdigest()))
        done += size
        progress.report("backup", done, total, unit="bytes")
    return members


def _put(tar: tarfile.TarFile, name: str, file: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, _PRIVATE
    tar.addfile(info, file)


@contextlib.contextmanager
def _pipeline_at_rest(settings: Settings, patience: float) -> Iterator[None]:
    """Hold the pipeline's lock; wait for a run that is under way."""
    until = time.monotonic() + patience
    with contextlib.ExitStack() as held:
        while True:
            lock = exclusive(settings.pipeline_lock, role="backup", what="the pipeline")
            try:
                held.enter_context(lock)
                break
            except LockedError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOOK_SECONDS)
        yield


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that only this user may read; it is on stable storage at the end."""
    path.unlink(missing_ok=True)
    descriptor = create_file(path)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _PRIVATE)  # wherever it goes, it is for this user alone
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
