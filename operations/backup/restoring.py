"""``restore``: an archive into an empty place, verified first and put there in one step.

What is unpacked lies beside its final place until all of it is ready. Then a note of what goes
where is written, and everything is renamed; a restore that was killed in between is finished by the
next one. Warehouse and builds are made again from the lake.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from annals.access import claim_state
from annals.errors import DiskFullError, SettingsError, UsageError
from annals.files import make_folder
from annals.lake import is_elsewhere, lake_place
from annals.locks import exclusive
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from loaders.lake import read_head
from operations.backup.checking import unpack, verify
from operations.backup.contents import (
    lake_names,
    local_settings,
    metadata_file,
    require_own_catalog,
)
from operations.backup.manifest import (
    BUFFER,
    CATALOG,
    PRICES,
    SETTINGS,
    Manifest,
    damaged,
    lake_path,
)
from operations.backup.members import MemberPath, create_below
from operations.backup.note import RestoreNote, read_note

_SPARE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored. ``moved`` says that the lake's metadata names another folder now.

    ``notes`` say what else is to be done for the same figures.
    """

    files: int
    bytes: int
    snapshot_id: int | None
    agent_id: str | None
    moved: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything goes, and where it is unpacked before."""

    lake: Path
    catalog: Path
    buffer: Path
    home: Path
    is_sent: bool

    @classmethod
    def of(cls, settings: Settings) -> Place:
        """Return the place that these settings name; a lake elsewhere is unpacked and then sent."""
        home, is_sent = settings.annals_home, is_elsewhere(settings)
        local = local_settings(settings, home / "iceberg") if is_sent else settings
        catalog = require_own_catalog(local)
        return cls(local.lake_folder, catalog, settings.sqlite_path, home, is_sent=is_sent)

    @property
    def note(self) -> Path:
        """The note of what is being renamed."""
        return self.home / "restoring.json"

    @property
    def catalog_inside(self) -> bool:
        """Whether the catalog lies in the lake's folder and moves with it."""
        return self.catalog.is_relative_to(self.lake)

    def moves(self) -> dict[Path, Path]:
        """Return each final place by what will be renamed to it."""
        lake = [self.lake, *([] if self.catalog_inside else [self.catalog])]
        targets = [*([] if self.is_sent else lake), self.buffer]
        targets += [self.home / f"restored-{name}" for name in (SETTINGS, PRICES)]
        return {unpacked(target): target for target in targets}

    def find_leftovers(self) -> tuple[Path, ...]:
        """Return all that an unfinished restore may have unpacked."""
        return (*self.moves(), unpacked(self.lake))

    def target(self, name: str) -> Path:
        """Return where a part of the archive that is not a file of the lake is unpacked."""
        if name == CATALOG and self.catalog_inside:
            return unpacked(self.lake) / self.catalog.relative_to(self.lake)
        known = {CATALOG: self.catalog, BUFFER: self.buffer}
        return unpacked(known.get(name) or self.home / f"restored-{name}")

    def create(self, name: str) -> int:
        """Create the file into which a part of the archive is unpacked; return its descriptor.

        The name is taken apart once, and its parts are what is used.
        """
        if name not in (CATALOG, BUFFER, SETTINGS, PRICES):
            return create_below(unpacked(self.lake), lake_path(name))
        target = self.target(name)
        return create_below(target.parent, MemberPath((target.name,)))


def unpacked(target: Path) -> Path:
    """Return where something is unpacked that belongs to ``target``: beside it."""
    return target.with_name(f".{target.name}.restoring")


def restore(
    settings: Settings,
    archive: Path,
    *,
    passphrase: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> RestoreReport:
    """Put an archive into the empty place that the settings name.

    The archive is read from end to end before anything is written. Raises UsageError where the
    place is not empty or the archive cannot be opened, IntegrityError (exit 9) for a damaged one,
    DiskFullError (exit 10), SettingsError where the lake would go by other names; nothing stays.
    """
    place = Place.of(settings)
    # An unfinished restore is of an archive that was verified, and may be gone.
    manifest = None if place.note.exists() else _verified(place, archive, passphrase, progress)
    claim_state(settings)
    make_folder(place.home, named=True)
    with (
        exclusive(settings.pipeline_lock, role="restore", what="the pipeline"),
        exclusive(settings.buffer_lock, role="restore", what=f"the buffer {place.buffer}"),
    ):
        if finished := _finish(settings, place):
            return _report(settings, place, finished)
        manifest = manifest or _verified(place, archive, passphrase, progress)
        _require_empty(settings, place)
        _require_same_names(settings, manifest)
        _require_space(place, manifest)
        try:
            _unpack(place, archive, passphrase, manifest=manifest, progress=progress)
            _require_own_files(place, manifest)
            sent = _send(settings, place, manifest) if place.is_sent else None
            if sent is None:
                _relocate(place, manifest)
            _announce(place, manifest, sent=sent)
        except BaseException:
            _clear(place)
            raise
        _finish(settings, place)
    return _report(settings, place, manifest)


def _verified(place: Place, archive: Path, passphrase: str | None, progress: Progress) -> Manifest:
    """Return the manifest of an archive that is whole and not too large for the place."""
    free = min(_free_at(place.lake), _free_at(place.buffer))
    return verify(archive, passphrase, most_bytes=free, progress=progress)


def _report(settings: Settings, place: Place, manifest: Manifest) -> RestoreReport:
    return RestoreReport(
        files=len(manifest.members),
        bytes=manifest.bytes,
        snapshot_id=manifest.snapshot_id,
        agent_id=manifest.agent_id,
        moved=_old_folder(place, manifest) is not None,
        notes=tuple(_notes(settings, place, manifest)),
    )


def _require_empty(settings: Settings, place: Place) -> None:
    candidates = (
        *(place.lake, place.catalog, place.buffer),
        *(settings.warehouse_file, settings.builds_folder),
    )
    for path in candidates:
        if path.is_dir() and not any(path.iterdir()):
            continue
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already; a restore goes into an empty place only",
                hint="Set ANNALS_HOME and SQLITE_PATH to empty places, or move what is there away.",
                path=path,
            )
    if place.is_sent and read_head(settings) is not None:
        raise UsageError(
            f"the lake {lake_place(settings)} is there already; a restore goes into an empty place"
            " only",
            hint="Set ICEBERG_NAMESPACE or ICEBERG_CATALOG_URI to an empty place.",
        )


def _require_same_names(settings: Settings, manifest: Manifest) -> None:
    if manifest.lake is None:
        return
    wanted = manifest.lake.model_copy(update={"folder": str(settings.lake_folder)})
    if wanted != lake_names(settings):
        raise SettingsError(
            f"the archive's lake is {wanted.catalog}: {wanted.namespace}.{wanted.table}, and the"
            " settings name another one",
            hint=f"Set ICEBERG_CATALOG_NAME={wanted.catalog}, ICEBERG_NAMESPACE={wanted.namespace}"
            f" and ICEBERG_TABLE_NAME={wanted.table}.",
        )


def _require_space(place: Place, manifest: Manifest) -> None:
    """Raise where it cannot fit; with several disks, each could need nearly all of it."""
    needed = manifest.bytes + _SPARE_BYTES
    for path in (place.lake, place.buffer):
        free = _free_at(path)
        if free < needed:
            raise DiskFullError(
                f"{needed:,} bytes are needed and {free:,} are free at {path}",
                hint="Make room, or set ANNALS_HOME and SQLITE_PATH to another disk.",
                path=path,
            )


def _free_at(path: Path) -> int:
    return shutil.disk_usage(next(parent for parent in path.parents if parent.exists())).free


def _unpack(
    place: Place,
    archive: Path,
    passphrase: str | None,
    *,
    manifest: Manifest,
    progress: Progress,
) -> None:
    _clear(place)

    def take(name: str) -> IO[bytes]:
        try:
            return os.fdopen(place.create(name), "wb")
        except FileExistsError as error:
            raise damaged(f"{name} and another file have the same place") from error

    promised = {member.path for member in manifest.members}
    read = unpack(
        archive,
        passphrase,
        lambda name: take(name) if name in promised else None,
        total=manifest.bytes,
        progress=progress,
    )
    if read != manifest:
        raise UsageError(
            f"{archive} was changed while it was read", hint="Let nobody write it, and try again."
        )


def _old_folder(place: Place, manifest: Manifest) -> Path | None:
    """Return the folder that the lake came from where it is another one."""
    if manifest.lake is None:
        return None
    old = Path(manifest.lake.folder)
    return None if old == place.lake and not place.is_sent else old


def _require_own_files(place: Place, manifest: Manifest) -> None:
    """Raise IntegrityError for metadata that names other files than those of the archive."""
    if manifest.lake is None:
        return
    from extractors.lake.relocation import require_own_files

    named = Path(manifest.lake.folder)
    require_own_files(unpacked(place.lake), place.target(CATALOG), named=named)


def _relocate(place: Place, manifest: Manifest) -> None:
    """Let the lake's metadata name its new folder."""
    old = _old_folder(place, manifest)
    if old is None:
        return
    from extractors.lake.relocation import relocate_catalog, relocate_files

    relocate_files(unpacked(place.lake), old=old, new=place.lake)
    relocate_catalog(place.target(CATALOG), old=old, new=place.lake)


def _send(settings: Settings, place: Place, manifest: Manifest) -> str | None:
    """Send the lake to where its catalog server puts it; return where its metadata is there."""
    if manifest.lake is None:
        return None
    from extractors.lake.copying import send_lake

    table = Path(manifest.lake.namespace, manifest.lake.table)
    newest = metadata_file(place.target(CATALOG), manifest.lake).name
    old = Path(manifest.lake.folder) / table
    sent = send_lake(settings, unpacked(place.lake) / table, old=old, newest=newest)
    shutil.rmtree(unpacked(place.lake))
    return sent


def _announce(place: Place, manifest: Manifest, *, sent: str | None) -> None:
    """Put everything on stable storage, and note what is to be renamed and made known."""
    os.sync()
    RestoreNote(place.moves(), sent, manifest).write(place.note)


def _finish(settings: Settings, place: Place) -> Manifest | None:
    """Do what the note names, and return what it was; without a note do nothing.

    It can be done twice: what is renamed or known already is left.
    """
    note = read_note(place.note, place.moves())
    if note is None:
        return None
    if note.sent:
        from extractors.lake.copying import register_lake

        register_lake(settings, note.sent)
    for source, target in note.moves.items():
        if source.exists():
            make_folder(target.parent, named=True)
            if target.is_dir():
                target.rmdir()  # it was empty
            source.replace(target)
    os.sync()
    place.note.unlink()
    return note.manifest


def _clear(place: Place) -> None:
    """Remove what an unfinished restore has unpacked."""
    for path in place.find_leftovers():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _notes(settings: Settings, place: Place, manifest: Manifest) -> Iterator[str]:
    yield "`annals pipeline` makes warehouse and builds again from the lake"
    if manifest.timezone != settings.timezone:
        yield f"the days of its reports began in {manifest.timezone}: set TIMEZONE for the same"
    if manifest.has(PRICES):
        yield f"it had prices of your own: set PRICES_CSV={place.home / f'restored-{PRICES}'}"
    yield f"the settings of then, without secrets, are in {place.home / f'restored-{SETTINGS}'}"
