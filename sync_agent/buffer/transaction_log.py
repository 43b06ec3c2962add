"""The transaction log: what was read, shipped and refused, and when (docs/specs/buffer.md, B-11).

A bounded table of the buffer. Rows are written in the transaction of what they tell of, so a row
is there exactly where that happened.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from annals.buffer.schema import lacks_tables
from annals.records.columns import RecordKind

ROWS_KEPT = 10_000
"""How many rows stay where no setting says otherwise."""

FILES_A_COMMIT = 20
"""A commit that touches more files has one row for all the others together."""

_TRIMMED_EVERY = 64
_TRIMMED_ROWS = 1_024
_ROWS_KEY = "journal_rows"
_LOCATION_AND_KIND = itemgetter(2, 1)
_MERGED_MICROSECONDS = 60_000_000
_MERGE = """
    update journal set count = count + :count, until = :now where journal_id = (
        select journal_id from (select * from journal order by journal_id desc limit 8)
        where event = :event and path is :path and location_id is :location_id
              and detail is :detail and at > :now - :merged and at <= :now limit 1)
"""
_INSERT = """
    insert into journal (at, until, event, path, location_id, count, detail)
    values (:now, :now, :event, :path, :location_id, :count, :detail)
"""
_SELECT = (
    "select journal_id, at, until, event, coalesce(path, file_path), count, detail"
    " from journal left join locations using (location_id) where until >= ?"
    " order by journal_id desc limit ?"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the log; times in microseconds since the epoch, ``count`` in records.

    What repeats itself within a minute (lines of one live file) shares a row, from ``at`` on.
    """

    journal_id: int
    at: int
    until: int
    event: str
    path: str | None
    count: int
    detail: str | None


def note(
    connection: sqlite3.Connection,
    event: str,
    *,
    path: str | bytes | None = None,
    count: int = 0,
    detail: str | None = None,
) -> None:
    """Write a row inside the caller's transaction; the oldest rows go, a bounded number at a time.

    ``detail`` is a short text without contents of transcripts and without secrets.
    """
    text = None if path is None else os.fsdecode(path).encode("utf-8", "backslashreplace").decode()
    _insert(connection, event, path=text, count=count, detail=detail)


def note_batch(connection: sqlite3.Connection, records: Sequence[tuple[Any, ...]]) -> None:
    """Write what a commit of the buffer read: a row a file, with the number of its entries."""
    counts: dict[int, Counter[str]] = {}
    for (location_id, kind), number in Counter(map(_LOCATION_AND_KIND, records)).items():
        counts.setdefault(location_id, Counter())[kind] += number
    for row in records:
        if row[1] == RecordKind.FILE:
            counts[row[2]][row[7]] += 1
    others = Counter[str]()
    for place, (location_id, found) in enumerate(counts.items()):
        if place < FILES_A_COMMIT:
            event = "retried" if found["retried"] else "read"
            number, detail = found["entry"], _detail(found)
            _insert(connection, event, location_id=location_id, count=number, detail=detail)
        else:
            others += found
    if others:
        detail = f"{len(counts) - FILES_A_COMMIT} more files; {_detail(others) or ''}".strip("; ")
        _insert(connection, "read", count=others["entry"], detail=detail)


def limit_rows(connection: sqlite3.Connection, rows: int) -> None:
    """Set how many rows the log keeps; writes only where that is new."""
    if _rows_kept(connection) != rows:
        connection.execute(
            "insert or replace into meta (key, value) values (?, ?)", (_ROWS_KEY, rows)
        )


def newest(connection: sqlite3.Connection, *, limit: int, since: int = 0) -> list[Row]:
    """Return the newest rows from ``since`` (microseconds) on, the newest last."""
    try:
        rows = connection.execute(_SELECT, (since, limit)).fetchall()
    except sqlite3.OperationalError:
        if not lacks_tables(connection):
            raise
        return []  # a buffer that no newer agent has opened yet
    return [Row(*row) for row in reversed(rows)]


def _detail(found: Counter[str]) -> str | None:
    parts = [
        name if name != RecordKind.QUARANTINE else f"{number} quarantined"
        for name, number in found.items()
        if name not in (RecordKind.ENTRY, RecordKind.FILE, "grown", "retried")
    ]
    return ", ".join(parts) or None


def _insert(
    connection: sqlite3.Connection,
    event: str,
    *,
    count: int,
    detail: str | None,
    path: str | None = None,
    location_id: int | None = None,
) -> None:
    values = {
        "now": time.time_ns() // 1000,
        "merged": _MERGED_MICROSECONDS,
        "event": event,
        "path": path,
        "location_id": location_id,
        "count": count,
        "detail": detail,
    }
    if connection.execute(_MERGE, values).rowcount:
        return
    row_id = connection.execute(_INSERT, values).lastrowid or 0
    if row_id % _TRIMMED_EVERY == 0:
        connection.execute(
            "delete from journal where journal_id in (select journal_id from journal"
            " where journal_id <= ? order by journal_id limit ?)",
            (row_id - _rows_kept(connection), _TRIMMED_ROWS),
        )


def _rows_kept(connection: sqlite3.Connection) -> int:
    row = connection.execute("select value from meta where key = ?", (_ROWS_KEY,)).fetchone()
    return int(row[0]) if row else ROWS_KEPT
