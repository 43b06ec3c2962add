"""The local buffer as a source, and the handshake that tells a buffer from its copies.

The buffer is SQLite, written by the sync agent (docs/specs/buffer.md); here it is read with SQL of
its own, in short transactions, and written in two places only: a consumer's acknowledgement
and the handshake, each one ``begin immediate``.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from annals.buffer.connection import (
    FLAG,
    acknowledged,
    agent_id_of,
    connect,
    consumers,
    last_seq,
    now_microseconds,
    pruned_through,
    reading,
    transaction,
    writing,
)
from annals.buffer.faults import translated
from annals.buffer.schema import select_records, table_columns
from annals.errors import AnalyticsError, ConflictError, SourceGapError
from annals.records import Record
from extractors.cursor import Cursor
from extractors.source import BATCH_BYTES, BATCH_RECORDS

TOKENS_KEPT = 100
"""Tokens noted last that stay although no live snapshot carries them: commits may be under way."""

_BOUNDS = "r.seq > ? and r.seq <= ?"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a buffer and a lake agreed on: this buffer is ``agent_id``, up to ``through``.

    ``tokens`` goes into the next snapshot; it is empty where there is nothing to commit.
    ``noted`` are the tokens this buffer knows: positions under any other token are not its own.
    A file at the same path that does not know ``witness`` is another buffer by now.
    """

    agent_id: str
    through: int
    tokens: Mapping[str, str]
    noted: frozenset[str]
    witness: str | None

    def own_positions(self, cursor: Cursor) -> dict[str, int]:
        """Return the part of a cursor that this very buffer has brought about."""
        seq = cursor.seq(self.agent_id)
        is_own = cursor.tokens.get(self.agent_id) in self.noted
        return {self.agent_id: seq} if seq and is_own else {}


@dataclass(frozen=True, slots=True)
class LocalSource:
    """The buffer at ``path`` as a source; with a claim it answers up to what was claimed."""

    path: Path
    claim: Claim | None = None

    def committed(self) -> dict[str, int]:
        """Return the highest seq this buffer ever gave, under its agent id."""
        if self.claim:
            return {self.claim.agent_id: self.claim.through}
        with reading(self.path) as connection:
            return {agent_id_of(connection): last_seq(connection)}

    def read(self, agent_id: str, *, after: int, through: int) -> Iterator[list[Record]]:
        """Yield the records in ``(after, through]``; each batch is a read transaction of its own.

        Raises SourceGapError where records after ``after`` were pruned, and ConflictError where
        the buffer has become another agent.
        """
        with contextlib.closing(connect(self.path, mode="ro")) as connection:
            while after < through:
                with translated(self.path), transaction(connection, "begin"):
                    if not self._is_still(connection, agent_id):
                        raise _changed(self.path, agent_id)
                    _refuse_gap(connection, after)
                    batch = _batch(connection, after, through)
                if not batch:
                    return
                after = batch[-1].seq
                yield batch
                del batch  # or its records would stay in memory while the next ones are read

    def acknowledge(self, consumer: str, positions: Mapping[str, int]) -> None:
        """Note that ``consumer`` has this buffer's records up to its position; never lowers it."""
        if not positions:
            return
        with reading(self.path) as connection:
            agent_id = agent_id_of(connection)
            seq = positions.get(agent_id, 0)
            if acknowledged(connection, consumer) >= seq:
                return
        with writing(self.path) as connection:
            if self._is_still(connection, agent_id):
                connection.execute(
                    "insert into consumers (name, acknowledged, updated_at) values (?, ?, ?)"
                    " on conflict (name) do update set acknowledged = excluded.acknowledged,"
                    " updated_at = excluded.updated_at"
                    " where excluded.acknowledged > acknowledged",
                    (consumer, seq, now_microseconds()),
                )

    def _is_still(self, connection: sqlite3.Connection, agent_id: str) -> bool:
        """Return whether the file is the buffer that was claimed, not one put in its place."""
        witness = self.claim.witness if self.claim else None
        is_known = witness is None or witness in _noted(connection)
        return is_known and agent_id_of(connection) == agent_id


def claim_identity(
    path: Path,
    cursor: Cursor,
    *,
    consumer: str,
    live_tokens: Iterable[str],
    always: bool = False,
    allow_gap: bool = False,
) -> Claim:
    """Agree with a lake on who this buffer is, and note a fresh token for the next snapshot.

    ``cursor`` is the lake's, ``consumer`` its table UUID, ``live_tokens`` what its snapshots carry.
    Where the cursor has a position for this agent under a token that this buffer never noted,
    another copy of the buffer brought it about: this one takes a new agent id. With nothing
    new nothing is written, unless ``always``. The claim's ``through`` is read in the transaction
    that notes the token: any copy of the buffer that knows the token holds all records up to it.

    Raises MissingBufferError, and SourceGapError where a new agent id would hide
    that pruned records never reached this lake (``allow_gap`` accepts that).
    """
    with reading(path) as connection:
        claim = _existing_claim(connection, cursor)
        if claim and not always and cursor.seq(claim.agent_id) == claim.through:
            return claim
    with writing(path) as connection:
        if _existing_claim(connection, cursor) is None:
            _take_new_identity(connection, consumer, cursor, allow_gap=allow_gap)
        agent_id, token = agent_id_of(connection), secrets.token_hex(16)
        _note(connection, token, frozenset(live_tokens))
        through, noted = last_seq(connection), _noted(connection)
        return Claim(agent_id, through, {agent_id: token}, noted, witness=token)


def _existing_claim(connection: sqlite3.Connection, cursor: Cursor) -> Claim | None:
    """Return a claim under the present agent id, or None where the lake knows another copy."""
    agent_id, last, noted = agent_id_of(connection), last_seq(connection), _noted(connection)
    seq, token = cursor.seq(agent_id), cursor.tokens.get(agent_id)
    is_own = seq == 0 or (token in noted and seq <= last)
    return Claim(agent_id, last, {}, noted, witness=token if seq else None) if is_own else None


def _take_new_identity(
    connection: sqlite3.Connection, consumer: str, cursor: Cursor, *, allow_gap: bool
) -> None:
    """Go on under a new agent id: what every consumer has is deleted, the rest keeps its seq.

    A lake whose cursor lies below what it once acknowledged was restored from an older copy: only
    what both say is taken for delivered.
    """
    delivered = min(acknowledged(connection, consumer), cursor.seq(agent_id_of(connection)))
    pruned = pruned_through(connection)
    if pruned > delivered and not allow_gap:
        raise gap_error(pruned, consumers(connection))
    (everybody,) = connection.execute("select min(acknowledged) from consumers").fetchone()
    if everybody is not None:
        connection.execute("delete from records where seq <= ?", (min(everybody, delivered),))
    connection.execute(
        "update consumers set acknowledged = 0, updated_at = ?", (now_microseconds(),)
    )
    connection.execute("delete from tokens")
    connection.execute("update meta set value = ? where key = 'agent_id'", (str(uuid.uuid4()),))
    connection.execute("update meta set value = 0 where key = 'pruned_through'")


def _note(connection: sqlite3.Connection, token: str, live: frozenset[str]) -> None:
    """Note a token; forget those that neither a live snapshot nor a recent attempt needs.

    ``noted_at`` orders the tokens and always rises, also where the clock goes back.
    """
    (newest,) = connection.execute("select coalesce(max(noted_at), 0) from tokens").fetchone()
    connection.execute(
        "insert into tokens values (?, ?)", (token, max(now_microseconds(), newest + 1))
    )
    old = connection.execute(
        "select token from tokens order by noted_at desc limit -1 offset ?", (TOKENS_KEPT,)
    ).fetchall()
    connection.executemany(
        "delete from tokens where token = ?", [row for row in old if row[0] not in live]
    )


def _batch(connection: sqlite3.Connection, after: int, through: int) -> list[Record]:
    """Read one batch. A record that would make it too large is read again with the next one."""
    batch: list[Record] = []
    size = 0
    # An agent of an older program has not added the newer columns yet: they read as their defaults.
    present = table_columns(connection, "records")
    query = select_records(present, bounds=_BOUNDS, flag=FLAG)
    rows = connection.execute(query, (after, through, BATCH_RECORDS))
    for record in map(Record._make, rows):
        size += len(record.raw)
        if size > BATCH_BYTES and batch:
            break
        batch.append(record)
    return batch


def _changed(path: Path, agent_id: str) -> ConflictError:
    return ConflictError(
        f"the buffer {path} is not the one any more that was agent {agent_id} just now",
        hint="Run the command again; it begins with the buffer as it is now.",
        path=path,
        agent_id=agent_id,
    )


def _refuse_gap(connection: sqlite3.Connection, after: int) -> None:
    pruned = pruned_through(connection)
    if after < pruned:
        raise gap_error(pruned, consumers(connection))


def gap_error(pruned: int, consumers: list[str]) -> SourceGapError:
    """Return the error that tells where the pruned records are and what can be done."""
    return SourceGapError(
        f"the buffer was pruned through record {pruned}, and this lake does not have these records"
        f" (consumers so far: {', '.join(consumers) or 'none'})",
        hint="Point ICEBERG_WAREHOUSE_PATH at the lake that has them, or restore it from a backup;"
        " `extract --full-backfill` fills a new lake with what the buffer still holds.",
        pruned_through=pruned,
        consumers=consumers,
    )


def held_record(path: Path, agent_id: str, seq: int) -> Record | None:
    """Return the record at a position if the buffer at ``path`` is that agent and still has it."""
    source = LocalSource(path)
    with contextlib.suppress(AnalyticsError):
        if agent_id in source.committed():
            batch: list[Record] = next(source.read(agent_id, after=seq - 1, through=seq), [])
            return batch[0] if batch else None
    return None


def _noted(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(token for (token,) in connection.execute("select token from tokens"))
