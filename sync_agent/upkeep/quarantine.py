"""What did not become an entry here or at the server, and the second try at it.

Two things are held back: byte ranges that are not an entry (``q<seq>``), and dead letters, which
are records that the server refused (``d<letter>``). A retried dead letter travels again under a new
number. A retried range is judged again by the present rules and limits; what they make of it is
written under a new generation of its file, so that no byte is in two ranges of one generation.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from annals.buffer.schema import RECORD_COLUMNS
from annals.errors import UsageError
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.fingerprints import add_ids
from sync_agent.buffer.rows import FileRow, Location
from sync_agent.buffer.store import Buffer, transaction
from sync_agent.buffer.transaction_log import note
from sync_agent.reading.file_changes import Event
from sync_agent.reading.ranges import Range
from sync_agent.reading.reader import Reader
from sync_agent.reading.record_rows import file_record, range_record

PREVIEW_BYTES = 400
_NOTE_RETRIED = "insert or replace into retried (entry_id, retried_at, entries) values (?, ?, ?)"
_RANGES = """
    select 'q' || max(seq), 'range', file_path, byte_offset, byte_length, reason, ingested_at,
           max(seq)
    from records indexed by quarantined join locations using (location_id)
    where record_kind = 'quarantine' and entry_id not in (select entry_id from retried)
    group by entry_id, location_id order by max(seq)
"""
_LETTERS = """
    select 'd' || d.rowid, 'dead letter', file_path, byte_offset, byte_length, server_reason,
           refused_at, d.rowid
    from dead_letters d join locations using (location_id) order by d.rowid
"""
_RAW = {
    "range": "select raw from records where seq = ?",
    "dead letter": "select raw from dead_letters where rowid = ?",
}
_PIECES = """
    select max(seq), byte_offset, byte_length, entry_id from records indexed by quarantined
    where record_kind = 'quarantine' and location_id = ? and file_generation = ?
          and entry_id not in (select entry_id from retried)
    group by byte_offset, entry_id order by byte_offset
"""
_REQUEUE_LETTER = (
    f"insert into records ({RECORD_COLUMNS})"  # noqa: S608 -- constants
    f" select {RECORD_COLUMNS} from dead_letters where rowid = ?"
)


@dataclass(frozen=True, slots=True)
class Held:
    """Something held back. ``at`` is in microseconds: when it was read, or refused."""

    name: str
    kind: str
    file_path: str
    byte_offset: int
    byte_length: int
    reason: str
    at: int
    number: int


@dataclass(frozen=True, slots=True)
class Retried:
    """What came of a retry: ``entries`` of a range, or 1 where a dead letter is on its way."""

    name: str
    entries: int
    outcome: str


@dataclass(frozen=True, slots=True)
class _Run:
    """Quarantined pieces that follow each other: what they were before they were cut."""

    location_id: int
    generation: int
    pieces: tuple[tuple[int, int, int, bytes], ...]

    @property
    def start(self) -> int:
        return self.pieces[0][1]

    @property
    def end(self) -> int:
        return self.pieces[-1][1] + self.pieces[-1][2]


def held(settings: Settings) -> list[Held]:
    """Return all that is held back in the buffer: ranges first, each kind in order.

    Ranges that were pruned since are in MongoDB or in the lake and are not listed.
    """
    with reading(settings.sqlite_path) as connection:
        return _held(connection) if connection else []


@contextlib.contextmanager
def held_rows(settings: Settings) -> Iterator[tuple[int, Iterator[Held]]]:
    """Give how many items are held back, and the items as :func:`held` has them, one by one."""
    with reading(settings.sqlite_path) as connection:
        if connection is None or not _has_retries(connection):
            yield 0, iter(())
            return
        counts = [
            connection.execute(f"select count(*) from ({query})").fetchone()[0]  # noqa: S608 -- own
            for query in (_RANGES, _LETTERS)
        ]
        yield sum(counts), _each(connection)


def held_bytes(settings: Settings, item: Held) -> bytes:
    """Return the exact bytes of ``item``."""
    with reading(settings.sqlite_path) as connection:
        row = connection and connection.execute(_RAW[item.kind], (item.number,)).fetchone()
    return bytes(row[0]) if row else b""


def named(items: Iterable[Held], names: Iterable[str]) -> list[Held]:
    """Return the items that are named, in that order; UsageError where there is no such one."""
    by_name = {item.name: item for item in items}
    chosen = []
    for name in names:
        if name not in by_name:
            raise UsageError(
                f"nothing is held back under the name {name}",
                hint="See `annals sync quarantine list`; retried ones are not listed any more.",
            )
        chosen.append(by_name[name])
    return chosen


def retry(buffer: Buffer, settings: Settings, names: Iterable[str]) -> list[Retried]:
    """Try the named items again, each in a transaction of its own; no name means all."""
    buffer.commit()
    items = _held(buffer.connection)
    chosen = named(items, names) or items
    done: set[int] = set()
    outcomes = []
    for item in chosen:
        if item.kind == "dead letter":
            outcomes.append(_requeue(buffer.connection, item))
        elif item.number not in done:
            run = _run_of(buffer.connection, item.number)
            done.update(piece[0] for piece in run.pieces)
            outcomes.append(_judge_again(buffer, settings, item, run))
    return outcomes


def _held(connection: sqlite3.Connection) -> list[Held]:
    return list(_each(connection)) if _has_retries(connection) else []


def _each(connection: sqlite3.Connection) -> Iterator[Held]:
    for query in (_RANGES, _LETTERS):
        yield from (Held(*row) for row in connection.execute(query))


def _has_retries(connection: sqlite3.Connection) -> bool:
    """Return whether the table is there; a newer agent than the buffer's makes it."""
    row = connection.execute("select 1 from sqlite_master where name = 'retried'").fetchone()
    return row is not None


def _requeue(connection: sqlite3.Connection, item: Held) -> Retried:
    with transaction(connection):
        connection.execute(_REQUEUE_LETTER, (item.number,))
        connection.execute("delete from dead_letters where rowid = ?", (item.number,))
        note(connection, "retried", path=item.file_path, count=1, detail=f"dead letter {item.name}")
    return Retried(item.name, 1, "on its way again")


def _run_of(connection: sqlite3.Connection, seq: int) -> _Run:
    """Return the pieces around the record ``seq`` that adjoin each other without a gap."""
    location_id, generation = connection.execute(
        "select location_id, file_generation from records where seq = ?", (seq,)
    ).fetchone()
    pieces = connection.execute(_PIECES, (location_id, generation)).fetchall()
    runs = [pieces[:1]]
    for before, piece in pairwise(pieces):
        if before[1] + before[2] == piece[1]:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    (found,) = (run for run in runs if any(piece[0] == seq for piece in run))
    return _Run(location_id, generation, tuple(found))


def _judge_again(buffer: Buffer, settings: Settings, item: Held, run: _Run) -> Retried:
    """Judge the bytes of a run as a line of its own; write what the present rules make of it."""
    connection = buffer.connection
    reader = Reader(
        _Bytes(connection, run).read_at,
        position=run.start,
        limit=run.end + 1,
        max_line_bytes=settings.max_line_bytes,
    )
    found = list(reader)
    entries = sum(one.envelope is not None for one in found)
    if not entries:
        return Retried(item.name, 0, f"still no entry: {found[0].reason if found else 'empty'}")
    location = buffer.location(run.location_id)
    row = _file_at(buffer, run)
    generation = (row.generation if row else run.generation) + 1
    for one in found:
        buffer.add_record(range_record(one, location, generation=generation))
    if row is not None:
        is_counted = run.pieces[-1][0] > int(buffer.meta("salvaged_through") or 0)
        counted = run if is_counted and row.generation == run.generation else None
        _count_again(buffer, row, counted, found, location)
    now = time.time_ns() // 1000
    for piece in run.pieces:
        buffer.add_statement(_NOTE_RETRIED, (piece[3], now, entries))
    buffer.commit()
    buffer.settle_file()
    return Retried(item.name, entries, "judged again")


def _file_at(buffer: Buffer, run: _Run) -> FileRow | None:
    """Return the file that stands where the run was read, None where it has moved on."""
    row = buffer.connection.execute(
        "select file_id from files where location_id = ? order by state = 'vanished', file_id desc",
        (run.location_id,),
    ).fetchone()
    return buffer.file(row[0]) if row else None


def _count_again(
    buffer: Buffer,
    row: FileRow,
    run: _Run | None,
    found: list[Range],
    location: Location,
) -> None:
    """Move the run's bytes in the file's ledger; without one the file only gets a generation.

    That is where the file was replaced or read again since: its counters know nothing of the run.
    """
    row = row._replace(generation=row.generation + 1)
    if run is not None:
        new = [one for one in found if one.envelope is not None]
        other = [one for one in found if one.envelope is None]
        entry_bytes, other_bytes = (sum(len(one.raw) for one in part) for part in (new, other))
        ids = sum(
            int.from_bytes(range_record(one, location, generation=0)[0], "big") for one in found
        ) - sum(int.from_bytes(piece[3], "big") for piece in run.pieces)
        held_back = run.end - run.start
        row = row._replace(
            entries=row.entries + len(new),
            quarantined=row.quarantined + len(other) - len(run.pieces),
            entry_bytes=row.entry_bytes + entry_bytes,
            quarantined_bytes=row.quarantined_bytes + other_bytes - held_back,
            separator_bytes=row.separator_bytes + held_back - entry_bytes - other_bytes,
            content_sum=add_ids(row.content_sum, ids),
        )
    buffer.put_file(row)
    buffer.add_record(file_record(Event.RETRIED, row, location))


class _Bytes:
    """The bytes of a run under their offsets in the file, and a line's end after them."""

    def __init__(self, connection: sqlite3.Connection, run: _Run) -> None:
        self._connection = connection
        self._run = run

    def read_at(self, length: int, offset: int) -> bytes:
        """Return at most ``length`` bytes from ``offset``."""
        if offset >= self._run.end:
            return b"\n"[: self._run.end + 1 - offset]
        return b"".join(self._parts(length, offset))

    def _parts(self, length: int, offset: int) -> Iterator[bytes]:
        for seq, start, size, _ in self._run.pieces:
            begin, end = max(offset, start), min(offset + length, start + size)
            if begin < end:
                with self._connection.blobopen("records", "raw", seq, readonly=True) as blob:
                    yield bytes(blob[begin - start : end - start])
