"""The check that a lake is not empty where records should be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from annals.errors import AnalyticsError
from annals.settings import Settings
from flows.validation.checks import Check

if TYPE_CHECKING:
    from sync_agent.buffer.buffer_reader import Holdings

_PROMISE = "the lake has records where some were acknowledged"


def check_stock(settings: Settings, lake_records: int, held: Holdings | None) -> Check:
    """Return what says that the lake should not be empty, if it is."""
    figures = {"lake_records": lake_records}
    if lake_records:
        return Check("stock", _PROMISE, figures)
    faults = tuple(
        f"the lake is empty, and {reason}; run `annals pipeline`, or restore the lake's backup"
        for reason in _reasons(settings, held)
    )
    return Check("stock", _PROMISE, figures, faults)


def _reasons(settings: Settings, held: Holdings | None) -> Iterator[str]:
    """Yield each trace of records that were there."""
    if held is not None and held.pruned_through:
        yield f"the buffer pruned {held.pruned_through:,} records that a consumer had acknowledged"
    if settings.warehouse_file.exists():
        from loaders import audit, warehouse

        with warehouse.connect(settings, read_only=True) as connection:
            if audit.loaded_snapshot(connection) is not None:
                yield "the warehouse was built from records of a lake"
    if (settings.builds_folder / "current").is_symlink() and not settings.warehouse_file.exists():
        yield "a build is published"
    if settings.mongo_uri is not None:
        yield from _acknowledged(settings)


def _acknowledged(settings: Settings) -> Iterator[str]:
    from extractors.mongo import MongoSource

    try:
        with closing(MongoSource(settings)) as source:
            known = source.committed()
            committed, unknown = sum(known.values()), source.unknown_agent(known)
    except AnalyticsError as error:
        yield f"MongoDB cannot be asked: {error.message}"
        return
    if committed:
        yield f"MongoDB acknowledged {committed:,} records"
    if unknown is not None:
        yield f"MongoDB has documents of agent {unknown}, which it does not know"
