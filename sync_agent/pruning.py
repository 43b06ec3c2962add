"""Deleting buffered records that every consumer has and whose time is over."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from itertools import takewhile

from sync_agent.buffer import Buffer, transaction
from sync_agent.journal import note

SHIPPER = "mongodb"
"""The name of the shipper among the consumers; the others are lakes, by their table's UUID."""

_STEP_ROWS = 2_000
_STEP_PAGES = 4_000
_STEPS = 25
_MICROSECONDS_A_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many records were deleted, and the last sequence number that is gone."""

    records: int
    pruned_through: int


def prune(
    buffer: Buffer,
    *,
    retention_days: float,
    ships: bool = False,
    steps: int = _STEPS,
    rows: int = _STEP_ROWS,
    pages: int = _STEP_PAGES,
) -> Pruned:
    """Delete the oldest records that every consumer acknowledged and that are old enough.

    Without a consumer nothing is deleted. Where the agent ``ships``, the shipper is the one
    consumer, and where it does not, all others are: whoever is left behind by a change of
    MONGO_URI holds nothing back, and meets a gap that it reports. Works in at most ``steps``
    short transactions of ``rows`` each and gives ``pages`` back to the file system at the end; what
    is left is for the next call. ``meta.pruned_through`` rises in the same transaction.
    """
    newest = time.time_ns() // 1000 - int(retention_days * _MICROSECONDS_A_DAY)
    deleted = 0
    for _ in range(steps):
        count = _prune_step(buffer, newest, rows, ships=ships)
        deleted += count
        if count < rows:
            break
    if deleted:
        # As a script: it yields rows without columns, of which execute() would take only one.
        buffer.connection.executescript(f"pragma incremental_vacuum({pages})")
    return Pruned(deleted, int(buffer.meta("pruned_through")))


def _prune_step(buffer: Buffer, newest: int, rows: int, *, ships: bool) -> int:
    connection = buffer.connection
    if not _due(connection, newest, rows, ships=ships):
        return 0
    with transaction(connection):
        # Asked again: a consumer may have gone back since, as a buffer that took a new name does.
        seqs = _due(connection, newest, rows, ships=ships)
        if seqs:
            connection.execute("delete from records where seq <= ?", (seqs[-1],))
            connection.execute(
                "update meta set value = max(value, ?) where key = 'pruned_through'", (seqs[-1],)
            )
            note(connection, "pruned", count=len(seqs), detail=f"through record {seqs[-1]}")
    return len(seqs)


def _due(connection: sqlite3.Connection, newest: int, limit: int, *, ships: bool) -> list[int]:
    """Return the numbers of the oldest records that may go now, a step of them at most."""
    rows = connection.execute(
        "select seq, ingested_at from records where seq <= (select min(acknowledged) from"
        " consumers where (name = ?) = ?) order by seq limit ?",
        (SHIPPER, ships, limit),
    )
    return [seq for seq, ingested_at in takewhile(lambda row: row[1] <= newest, rows)]
