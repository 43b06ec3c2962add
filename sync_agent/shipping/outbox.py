"""The buffer as the shipper sees it: what is to be shipped, and what became of it.

The reading thread writes the buffer; from here it is read in short reads, and written in short
``begin immediate`` transactions of the shipper's own: its acknowledgement, dead letters, and
who this buffer is (docs/specs/shipping.md).
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from annals.buffer.faults import file_at, missing_buffer, translated
from annals.buffer.schema import RECORD_COLUMNS, select_records
from annals.errors import ConflictError
from annals.records import Record
from annals.records.seq_ranges import Ranges, ranges_of, subtract_ranges
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.pruning import SHIPPER
from sync_agent.buffer.store import connect, transaction
from sync_agent.buffer.tables import add_tables
from sync_agent.buffer.transaction_log import note

_REASON_LENGTH = 300

_ENROLLED = "enrolled_agent"
_RECORDS = select_records(Record._fields, bounds="r.seq > ?")
_BURY = f"""
    insert or replace into dead_letters ({RECORD_COLUMNS}, seq, server_reason, refused_at)
    select {RECORD_COLUMNS}, seq, ?, ? from records where seq = ?
"""  # noqa: S608 -- constants


_WAITING = """
    select (select max(seq) from sqlite_sequence where name = 'records') + 1
         - (select seq from records where seq > (select coalesce(max(acknowledged), 0)
            from consumers where name = ?) order by seq limit 1)
"""
"""From the first record that is not acknowledged to the last number: no row is counted."""


class Refusal(NamedTuple):
    """A record that the server does not take, and why, in the server's words."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this buffer says it is, and how far it is shipped.

    ``noted`` are the incarnations noted last; ``enrolled`` says that a server once knew this agent.
    """

    agent_id: str
    acknowledged: int
    pruned_through: int
    noted: frozenset[str]
    enrolled: bool


class Batch(NamedTuple):
    """Records to ship; ``is_full`` says that a limit was reached, so that there may be more."""

    records: list[Record]
    is_full: bool


class Standing(NamedTuple):
    """How many records wait to be shipped (an upper bound), and how many the server refused."""

    pending: int
    dead_letters: int


class Outbox:
    """The shipper's connection to the buffer at ``path``. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = file_at(path)

    def is_current(self) -> bool:
        """Return whether the file at the path still is the one that was opened."""
        return self._file == file_at(self._path)

    def identity(self) -> Identity:
        """Return who this buffer is."""
        with self._transaction("begin"):
            return self._identity()

    def _identity(self) -> Identity:
        meta = dict(self._connection.execute("select key, value from meta"))
        acknowledged = self._one("select acknowledged from consumers where name = ?", SHIPPER)
        noted = self._connection.execute("select incarnation from incarnations")
        return Identity(
            agent_id=str(meta["agent_id"]),
            acknowledged=acknowledged,
            pruned_through=int(meta["pruned_through"]),
            noted=frozenset(incarnation for (incarnation,) in noted),
            enrolled=meta.get(_ENROLLED) == meta["agent_id"],
        )

    def note_incarnation(self, agent_id: str, *, remote: str | None) -> str:
        """Note a fresh incarnation, and keep the one that the server has now; return the fresh."""
        fresh = str(uuid.uuid4())
        with self._as(agent_id):
            self._connection.execute(
                "delete from incarnations where incarnation is not ?", (remote,)
            )
            self._connection.execute("insert into incarnations (incarnation) values (?)", (fresh,))
        return fresh

    def enroll_agent(self, agent_id: str, *, committed: int) -> Identity:
        """Note that the server knows this agent, and has everything of it up to ``committed``.

        Where it has more than was acknowledged here, this buffer is an older copy, or died before
        it could acknowledge: what is not acknowledged and not above ``committed`` gets new numbers
        above all. Where it has less, it is another server or went back: what it lacks and is still
        here is shipped again.
        """
        with self._as(agent_id):
            self._connection.execute(
                "insert or replace into meta (key, value) values (?, ?)", (_ENROLLED, agent_id)
            )
            acknowledged = self._identity().acknowledged
            if committed > acknowledged:
                self._renumber(acknowledged, committed)
            if committed != acknowledged:
                self._set_acknowledged(committed)
            return self._identity()

    def _renumber(self, after: int, through: int) -> None:
        """Give the records in ``(after, through]`` new numbers, above every number ever given."""
        last = max(self._one("select seq from sqlite_sequence where name = 'records'"), through)
        self._connection.execute(
            "update records set seq = seq + ? where seq > ? and seq <= ?",
            (last - after, after, through),
        )
        highest = max(self._one("select coalesce(max(seq), 0) from records"), last)
        self._connection.execute("delete from sqlite_sequence where name = 'records'")
        self._connection.execute("insert into sqlite_sequence values ('records', ?)", (highest,))

    def rename(self, agent_id: str, *, committed: int) -> None:
        """Go on under a new agent id: another copy of this buffer is active under the old one.

        The numbers stay; nobody gave them under the new id. ``committed`` is how far the server
        has the old one: no acknowledgement counts beyond that.
        """
        with self._as(agent_id):
            acknowledged = self._identity().acknowledged
            self._connection.execute(
                "update meta set value = ? where key = 'agent_id'", (str(uuid.uuid4()),)
            )
            self._connection.execute("delete from incarnations")
            self._connection.execute("delete from tokens")
            self._set_acknowledged(min(acknowledged, committed))

    def batch(self, agent_id: str, *, after: int, rows: int, size: int) -> Batch:
        """Return the records after ``after``: at most ``rows``, and of ``size`` raw bytes or one.

        ``is_sidechain`` is as SQLite has it, a number.

        Raises ConflictError where the buffer is another agent by now.
        """
        records: list[Record] = []
        with self._transaction("begin"):
            self._require(agent_id)
            for row in self._connection.execute(_RECORDS, (after, rows)):
                size -= len(row[-1])
                if size < 0 and records:
                    break
                records.append(Record._make(row))
        return Batch(records, is_full=size < 0 or len(records) == rows)

    def absent(self, through: int) -> Ranges:
        """Return the positions up to ``through`` of which the buffer has no record any more."""
        with self._transaction("begin"):
            rows = self._connection.execute(
                "select seq from records where seq <= ? order by seq", (through,)
            )
            held = ranges_of(seq for (seq,) in rows)
        return subtract_ranges([(1, through)], held)

    def move_to_dead_letters(self, agent_id: str, refusals: Sequence[Refusal]) -> None:
        """Move records that the server refused to the dead letters, with its reasons."""
        with self._as(agent_id):
            for refusal in refusals:
                now = time.time_ns() // 1000
                self._connection.execute(_BURY, (refusal.reason, now, refusal.seq))
                self._connection.execute("delete from records where seq = ?", (refusal.seq,))
                note(self._connection, "refused", count=1, detail=refusal.reason[:_REASON_LENGTH])

    def acknowledge(self, agent_id: str, incarnation: str, seq: int) -> None:
        """Note that everything up to ``seq`` is shipped.

        Raises ConflictError where the file is not the buffer any more that it was.
        """
        with self._as(agent_id):
            identity = self._identity()
            if incarnation not in identity.noted:
                raise self._changed(agent_id)
            if seq > identity.acknowledged:
                self._set_acknowledged(seq)
                note(self._connection, "shipped", count=seq - identity.acknowledged)

    def _set_acknowledged(self, seq: int) -> None:
        self._connection.execute(
            "insert or replace into consumers (name, acknowledged, updated_at) values (?, ?, ?)",
            (SHIPPER, seq, time.time_ns() // 1000),
        )

    def _one(self, sql: str, *values: object) -> int:
        row = self._connection.execute(sql, values).fetchone()
        return int(row[0]) if row else 0

    def _require(self, agent_id: str) -> None:
        row = self._connection.execute("select value from meta where key = 'agent_id'").fetchone()
        if row != (agent_id,):
            raise self._changed(agent_id)

    def _changed(self, agent_id: str) -> ConflictError:
        return ConflictError(
            f"the buffer is not agent {agent_id} any more, which it was just now",
            hint="Nothing is lost: shipping begins again with the buffer as it is now.",
            agent_id=agent_id,
        )

    @contextmanager
    def _as(self, agent_id: str) -> Iterator[None]:
        """Run the body in a writing transaction, while the buffer still is that agent."""
        with self._transaction("begin immediate"):
            self._require(agent_id)
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with translated(self._path), transaction(self._connection, begin):
            yield


@contextmanager
def open_outbox(path: Path) -> Iterator[Outbox]:
    """Open the buffer at ``path`` for the shipper; raise MissingBufferError if there is none."""
    if not path.exists():
        raise missing_buffer(path)
    with translated(path), closing(connect(path)) as connection:
        made = connection.execute("select 1 from sqlite_master where name = 'tokens'").fetchone()
        if not made:
            raise missing_buffer(path)
        add_tables(connection)
        # Only the reading connection checkpoints: two at once can damage the log.
        connection.execute("pragma wal_autocheckpoint = 0")
        yield Outbox(connection, path)


def standing(path: Path) -> Standing:
    """Return what waits, on a connection of its own; nothing waits where no buffer exists."""
    with reading(path) as connection:
        if connection is None:
            return Standing(0, 0)
        (waiting,) = connection.execute(_WAITING, (SHIPPER,)).fetchone()
        # Until a program of this version has opened the buffer there are none.
        is_made = connection.execute("select 1 from sqlite_master where name = 'dead_letters'")
        dead = "select count(*) from dead_letters" if is_made.fetchone() else "select 0"
        (buried,) = connection.execute(dead).fetchone()
    return Standing(int(waiting or 0), int(buried))
