"""Check that every file of the lake is what was written, those of older snapshots included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from annals.errors import IntegrityError, LakeDamageError
from annals.lake import is_elsewhere
from annals.lake.catalog_file import checksums_of
from annals.settings import Settings
from flows.validation.checks import FAULTS_SHOWN, Check

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMISE = "every file of the lake is what was written"


def check_lake_files(settings: Settings, *, deep: bool = False) -> Check:
    """Return what is wrong with the lake's files, and what was set aside by a repair.

    Objects of a store are compared by name and size, and read only if ``deep``.
    """
    figures, faults, skipped = lake_faults(settings, deep=deep)
    aside = figures.get("set_aside", 0)
    note = f"{aside} files were set aside by a repair: only older snapshots have them"
    notes = (note,) if aside else ()
    return Check("files", PROMISE, figures, faults, skipped, notes=notes)


def lake_faults(
    settings: Settings, *, deep: bool = True
) -> tuple[dict[str, int], tuple[str, ...], str]:
    """Return the figures, the faults, and why nothing was checked (or an empty text).

    All snapshots count, those that only a rollback needs included. A data file that carries its
    hash is read once. For a lake in an object store that is so if ``deep``; else its objects are
    listed, and compared by name and size.
    """
    from loaders.lake import read_head

    if is_elsewhere(settings):
        return _object_faults(settings, deep=deep)
    if read_head(settings) is None:
        return {}, (), "no lake exists yet"
    found = list(_checked(settings))
    faults = [error for error in found if error is not None]
    aside = [error for error in faults if _is_set_aside(settings, error)]
    shown = tuple(error.message for error in faults if error not in aside)
    figures = {"files": len(found), "damaged": len(shown)}
    if aside:
        figures["set_aside"] = len(aside)
    return figures, shown[:FAULTS_SHOWN], ""


def _object_faults(
    settings: Settings, *, deep: bool
) -> tuple[dict[str, int], tuple[str, ...], str]:
    from extractors.lake import open_lake
    from extractors.lake.objects import damaged_objects
    from loaders.lake import read_head

    if read_head(settings) is None:
        return {}, (), "no lake exists yet"
    with open_lake(settings) as lake:
        try:
            number, faults = damaged_objects(lake, deep=deep)
        except LakeDamageError as error:  # of the metadata: what it names cannot be compared
            number, faults = 1, [error.message]
    return {"files": number, "damaged": len(faults)}, tuple(faults[:FAULTS_SHOWN]), ""


def _is_set_aside(settings: Settings, error: IntegrityError) -> bool:
    """Return whether a repair took a missing file out: only older snapshots have it."""
    from extractors.lake.relocation import newest_data_files
    from loaders.lake import head_location

    path, head = Path(str(error.context.get("path", ""))), head_location(settings)
    if head is None or path.exists() or not any(path.parent.glob(f"{path.name}.damaged-*")):
        return False
    return str(path) not in newest_data_files(head)


def _checked(settings: Settings) -> Iterator[IntegrityError | None]:
    """Yield for each file None, or what is wrong with it."""
    from extractors.lake.relocation import lake_locations
    from loaders.lake import head_location

    checksums, head = checksums_of(settings), head_location(settings)
    if head is None:
        return
    for check in lake_locations(head, checksums):
        try:
            check()
        except IntegrityError as error:
            yield error
        else:
            yield None
