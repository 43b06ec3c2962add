"""A corrupt buffer is set aside, what can be read of it goes into a new one, and work goes on.

The new buffer has a new agent id and knows no positions: every file still on disk is read again
(equal bytes keep their ids), and the salvaged records cover the files that are gone. The steps are
ordered so that the next start finishes what a crash left between any two (docs/specs/buffer.md).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from annals.buffer.faults import DamagedBufferError, suspect_file, translated
from annals.buffer.schema import (
    LOCATION_COLUMNS,
    RECORD_COLUMNS,
    insert_statement,
    record_columns,
    table_columns,
)
from sync_agent.buffer.store import (
    LARGE_BYTES,
    Buffer,
    connect,
    insert_large,
    open_buffer,
    transaction,
)
from sync_agent.buffer.tables import create
from sync_agent.buffer.transaction_log import note

_COMPANIONS = ("-wal", "-shm")
_BATCH_ROWS = 500
_LOCATION_PLACE = RECORD_COLUMNS.replace(" ", "").split(",").index("location_id") + 1
_INSERT_LOCATION = insert_statement("locations", LOCATION_COLUMNS)
_INSERT_RECORD = insert_statement("records", RECORD_COLUMNS)
_SELECT_LOCATIONS = f"select {LOCATION_COLUMNS} from locations"  # noqa: S608 -- constants
_SELECT_RECORDS = "select seq, {} from records where seq >= ? order by seq"
_SELECT_DEAD_LETTERS = "select seq, {} from dead_letters"
_NOTE_SALVAGED = (
    "insert into meta (key, value) select 'salvaged_through', coalesce(max(seq), 0) from records"
)
"""Records up to there were not read into this buffer: no file's counters know of them."""


@contextlib.contextmanager
def healthy_buffer(path: Path) -> Iterator[Buffer]:
    """Open the buffer, after finishing a replacement and checking one that is under suspicion.

    Raises DamagedBufferError where it turns out to be corrupt, now or in the body.
    """
    finish_replacement(path)
    suspect = suspect_file(path)
    with open_buffer(path) as buffer:
        if suspect.exists():
            buffer.check()
            suspect.unlink(missing_ok=True)
        yield buffer


def replace_damaged(path: Path, error: DamagedBufferError) -> str:
    """Put a new buffer with what can be salvaged in the place of the corrupt one; return a warning.

    Raises DiskFullError where there is no space for that; the corrupt one then stays.
    """
    with translated(path):
        half_made = _beside(path, ".salvage")
        _remove(half_made)
        connection = connect(half_made)
        with contextlib.closing(connection):
            create(connection)
            saved = _salvage(path, connection)
            connection.execute(_NOTE_SALVAGED)
            note(connection, "salvaged", detail="the buffer was corrupt")
        half_made.rename(_beside(path, ".new"))
        aside = finish_replacement(path)
        suspect_file(path).unlink(missing_ok=True)
    return (
        f"{error.message}; it was set aside as {aside}, {saved} records were salvaged from it, and"
        " every transcript is read again; delete that file when you no longer need it"
    )


def finish_replacement(path: Path) -> Path | None:
    """Put a finished new buffer in its place, the corrupt one aside; return where that is now."""
    new = _beside(path, ".new")
    if not new.exists():
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = _beside(path, f".corrupt-{stamp}")
    for suffix in (*_COMPANIONS, ""):  # the log first: it must never meet the new file
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
    new.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return aside


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    for suffix in (*_COMPANIONS, ""):
        _beside(path, suffix).unlink(missing_ok=True)


def _salvage(path: Path, target: sqlite3.Connection) -> int:
    """Copy every record that can be read, and the locations they need; return how many."""
    source = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    saved = 0
    with contextlib.closing(source):
        locations = _readable_locations(source)
        with transaction(target):
            target.executemany(_INSERT_LOCATION, locations.values())
        batch: list[tuple[Any, ...]] = []
        for row in chain(_readable_records(source), _readable_dead_letters(source)):
            if row[_LOCATION_PLACE] not in locations:
                continue
            batch.append(row[1:])
            saved += 1
            if len(batch) >= _BATCH_ROWS or len(row[-1]) >= LARGE_BYTES:
                _write(target, batch)
        _write(target, batch)
    return saved


def _write(target: sqlite3.Connection, batch: list[tuple[Any, ...]]) -> None:
    with transaction(target):
        for row in batch:
            if len(row[-1]) >= LARGE_BYTES:
                insert_large(target, row)
            else:
                target.execute(_INSERT_RECORD, row)
    batch.clear()


def _readable_locations(source: sqlite3.Connection) -> dict[int, tuple[Any, ...]]:
    found: dict[int, tuple[Any, ...]] = {}
    with contextlib.suppress(sqlite3.DatabaseError):
        for row in source.execute(_SELECT_LOCATIONS):
            found[row[0]] = row
    return found


def _readable_records(source: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield records in order; after one that cannot be read, try further and further on."""
    following, stride, last = 1, 1, _last_seq(source)
    query = _SELECT_RECORDS.format(_columns(source, "records"))
    while following <= last:
        try:
            for row in source.execute(query, (following,)):
                yield row
                following, stride = row[0] + 1, 1
        except sqlite3.DatabaseError:
            following, stride = following + stride, stride * 2
        else:
            return


def _readable_dead_letters(source: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield what a server refused, to become records again: it may take them by now."""
    with contextlib.suppress(sqlite3.DatabaseError):  # a buffer of an older program has none
        yield from source.execute(_SELECT_DEAD_LETTERS.format(_columns(source, "dead_letters")))


def _columns(source: sqlite3.Connection, table: str) -> str:
    """Return the columns of a record, null for those that an older program had not."""
    present: frozenset[str] = frozenset()
    with contextlib.suppress(sqlite3.DatabaseError):
        present = table_columns(source, table)
    return record_columns(present) if present else RECORD_COLUMNS


def _last_seq(source: sqlite3.Connection) -> int:
    for query in (
        "select seq from sqlite_sequence where name = 'records'",
        "select max(seq) from records",
    ):
        with contextlib.suppress(sqlite3.DatabaseError):
            row = source.execute(query).fetchone()
            if row and row[0]:
                return int(row[0])
    return 0
