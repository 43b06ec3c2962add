"""Check that every file of the lake is what was written, those of older snapshots included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.errors import IntegrityError
from analytics.lake import is_elsewhere
from analytics.lake.catalog_file import checksums_of
from analytics.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS_SHOWN = 20
PROMISE = "every file of the lake is what was written"


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
    files = faults = 0
    shown: list[str] = []
    for fault in _checked(settings):
        files += 1
        if fault:
            faults += 1
            shown.append(fault)
    return {"files": files, "damaged": faults}, tuple(shown[:FAULTS_SHOWN]), ""


def _checked(settings: Settings) -> Iterator[str]:
    """Yield for each file an empty text, or what is wrong with it."""
    from extractors.lake.relocation import lake_locations
    from loaders.lake import head_location

    checksums, head = checksums_of(settings), head_location(settings)
    if head is None:
        return
    for check in lake_locations(head, checksums):
        try:
            check()
        except IntegrityError as error:
            yield error.message
        else:
            yield ""
