"""Deleting buffered records that every consumer has and whose time is over."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from itertools import takewhile

from sync_agent.buffer import Buffer, transaction
from sync_agent.journal import note

_STEP_ROWS = 2_000
_STEP_PAGES = 4_000
_STEPS = 25
_MICROSECONDS_A_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many records were deleted, and the last sequence number that is gone."""

    records: int
    pruned_through: int


def prune(buffer: Buffer, *, retention_days: float, steps: int = _STEPS) -> Pruned:
    """Delete the oldest records that every consumer acknowledged and that are old enough.

    Without a consumer nothing is deleted. Works in at most ``steps`` short transactions; what is
    left is for the next call. ``meta.pruned_through`` rises in the same transaction.
    """
    newest = time.time_ns() // 1000 - int(retention_days * _MICROSECONDS_A_DAY)
    deleted = 0
    for _ in range(steps):
        count = _prune_step(buffer, newest)
        deleted += count
        if count < _STEP_ROWS:
            break
    if deleted:
        # As a script: it yields rows without columns, of which execute() would take only one.
        buffer.connection.executescript(f"pragma incremental_vacuum({_STEP_PAGES})")
    return Pruned(deleted, int(buffer.meta("pruned_through")))


def _prune_step(buffer: Buffer, newest: int) -> int:
    connection = buffer.connection
    if not _due(connection, newest):
        return 0
    with transaction(connection):
        # Asked again: a consumer may have gone back since, as a buffer that took a new name does.
        seqs = _due(connection, newest)
        if seqs:
            connection.execute("delete from records where seq <= ?", (seqs[-1],))
            connection.execute(
                "update meta set value = max(value, ?) where key = 'pruned_through'", (seqs[-1],)
            )
            note(connection, "pruned", count=len(seqs), detail=f"through record {seqs[-1]}")
    return len(seqs)


def _due(connection: sqlite3.Connection, newest: int) -> list[int]:
    """Return the numbers of the oldest records that may go now, a step of them at most."""
    rows = connection.execute(
        "select seq, ingested_at from records where seq <= (select min(acknowledged) from"
        " consumers) order by seq limit ?",
        (_STEP_ROWS,),
    )
    return [seq for seq, ingested_at in takewhile(lambda row: row[1] <= newest, rows)]
