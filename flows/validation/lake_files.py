"""Check that every file of the lake is what was written, those of older snapshots included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from annals.errors import IntegrityError
from annals.lake import is_elsewhere
from annals.lake.catalog_file import checksums_of
from annals.settings import Settings
from flows.validation.checks import FAULTS_SHOWN, Check

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMISE = "every file of the lake is what was written"


def check_lake_files(settings: Settings) -> Check:
    """Return what is wrong with the lake's files, and what was set aside by a repair."""
    figures, faults, skipped = lake_faults(settings)
    aside = figures.get("set_aside", 0)
    note = f"{aside} files were set aside by a repair: only older snapshots have them"
    notes = (note,) if aside else ()
    return Check("files", PROMISE, figures, faults, skipped, notes=notes)


def lake_faults(settings: Settings) -> tuple[dict[str, int], tuple[str, ...], str]:
    """Return the figures, the faults, and why nothing was checked (or an empty text).

    All snapshots count, those that only a rollback needs included. A data file that carries its
    hash is read once. A lake in an object store is not checked here: its files are verified when
    they are loaded.
    """
    from loaders.lake import read_head

    if is_elsewhere(settings):
        return {}, (), "the lake is in an object store"
    if read_head(settings) is None:
        return {}, (), "there is no lake yet"
    found = list(_checked(settings))
    faults = [error for error in found if error is not None]
    aside = [error for error in faults if _is_set_aside(settings, error)]
    shown = tuple(error.message for error in faults if error not in aside)
    figures = {"files": len(found), "damaged": len(shown)}
    if aside:
        figures["set_aside"] = len(aside)
    return figures, shown[:FAULTS_SHOWN], ""


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
