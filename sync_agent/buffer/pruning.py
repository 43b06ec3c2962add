"""Deleting buffered records that every consumer has and whose time is over."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sync_agent.buffer.store import Buffer, transaction
from sync_agent.buffer.transaction_log import note

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


@dataclass(frozen=True, slots=True)
class _Span:
    """Records up to ``newest`` are old enough; later than ``now`` is the future (microseconds)."""

    newest: int
    now: int


def prune(
    buffer: Buffer,
    *,
    retention_days: float,
    ships: bool = False,
    steps: int = _STEPS,
    rows: int = _STEP_ROWS,
    pages: int = _STEP_PAGES,
    clock: Callable[[], int] = time.time_ns,
) -> Pruned:
    """Delete the oldest records that every consumer acknowledged and that are old enough.

    Without a consumer nothing is deleted. Where the agent ``ships``, the shipper is the one
    consumer, and where it does not, all others are: a consumer that is left behind by a change of
    MONGO_URI holds nothing back, and meets a gap that it reports. Works in at most ``steps``
    short transactions of ``rows`` each and gives ``pages`` back to the file system at the end; what
    is left is for the next call. ``meta.pruned_through`` rises in the same transaction.

    A record that claims to be read later than ``clock`` (nanoseconds) says goes together with the
    next record whose time is over: a clock that was ahead once holds nothing back.
    """
    now = clock() // 1000
    span = _Span(now - int(retention_days * _MICROSECONDS_A_DAY), now)
    deleted = 0
    for _ in range(steps):
        count = _prune_step(buffer, span, rows, ships=ships)
        deleted += count
        if count < rows:
            break
    if deleted:
        # As a script: it yields rows without columns, of which execute() would take only one.
        buffer.connection.executescript(f"pragma incremental_vacuum({pages})")
    return Pruned(deleted, int(buffer.meta("pruned_through")))


def _prune_step(buffer: Buffer, span: _Span, rows: int, *, ships: bool) -> int:
    connection = buffer.connection
    if not _due(connection, span, rows, ships=ships):
        return 0
    with transaction(connection):
        # Asked again: a consumer may have gone back since, as a buffer that took a new name does.
        seqs = _due(connection, span, rows, ships=ships)
        if seqs:
            connection.execute("delete from records where seq <= ?", (seqs[-1],))
            connection.execute(
                "update meta set value = max(value, ?) where key = 'pruned_through'", (seqs[-1],)
            )
            note(connection, "pruned", count=len(seqs), detail=f"through record {seqs[-1]}")
    return len(seqs)


def _due(connection: sqlite3.Connection, span: _Span, limit: int, *, ships: bool) -> list[int]:
    """Return the numbers of the oldest records that may go now, ``limit`` of them at most."""
    rows = connection.execute(
        "select seq, ingested_at from records where seq <= (select min(acknowledged) from"
        " consumers where (name = ?) = ?) order by seq",
        (SHIPPER, ships),
    )
    with contextlib.closing(rows):
        return _due_of(rows, span, limit)


def _due_of(rows: Iterable[tuple[int, int]], span: _Span, limit: int) -> list[int]:
    """Return the first ``limit`` numbers up to the last record before one that is too young.

    Records of the future are passed by; they count if one whose time is over comes after them.
    """
    seqs: list[int] = []
    due = 0
    for seen, (seq, ingested_at) in enumerate(rows, start=1):
        if seen <= limit:
            seqs.append(seq)
        if min(ingested_at, span.now) <= span.newest:
            due = seen
            if due >= limit:
                break
        elif ingested_at <= span.now:
            break
    return seqs[:due]
