"""Compares what was read of a grown file with the file as it is now (docs/specs/reader.md, R-42).

Before reading goes on in a file that has grown, only its edges are compared, so a change further
in would go unnoticed. Such a file is due for verification: all that was read is read again, least
recently verified file first, within a budget. The ledger's sum of ids proves the first pass; of
what is proved one hash is kept, so that the next pass hashes it and parses only what came since.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, Protocol

from annals.records.identity import entry_id
from sync_agent.buffer.fingerprints import EMPTY_SUM, add_ids, digest
from sync_agent.buffer.rows import FileState
from sync_agent.buffer.store import Buffer, transaction
from sync_agent.reading.reader import Reader

RUN_BYTES = 256 * 1024 * 1024
"""One sync verifies so many bytes; a larger file is verified whole, as the only one of a run."""

STEP_BYTES = 128 * 1024
NOTHING = digest(b"")

MARK_DUE = (
    "insert into verified (file_id, generation, offset, content_sum, prefix_hash, verified_at,"
    " is_due) values (?, ?, 0, ?, ?, 0, 1) on conflict (file_id) do update set is_due = 1"
)
"""Marks a file that has grown as due; it keeps what was proved of it before."""

_DUE = """
    select f.file_id, f.generation, l.root, l.path_bytes, l.key_bytes, f.offset, f.content_sum,
           f.device, f.inode,
           case when v.generation = f.generation and v.offset <= f.offset then v.offset else 0 end,
           v.content_sum, v.prefix_hash
    from verified v join files f using (file_id) join locations l using (location_id)
    where v.is_due and f.state = ? order by v.verified_at, v.file_id limit ?
"""
_KEEP = (
    "replace into verified (file_id, generation, offset, content_sum, prefix_hash, verified_at,"
    " is_due) values (?, ?, ?, ?, ?, ?, ?)"
)
_FORGET = "delete from verified where file_id = ?"
_DUE_AT_ONCE = 100


class Due(NamedTuple):
    """A file to verify up to ``offset``; up to ``proved`` a hash is kept of it."""

    file_id: int
    generation: int
    root: bytes
    path: bytes
    key: bytes
    offset: int
    content_sum: bytes
    device: int
    inode: int
    proved: int
    proved_sum: bytes
    prefix_hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the file still holds what was read; ``prefix_hash`` is that of all of it if so."""

    holds: bool
    prefix_hash: bytes = NOTHING


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...


Pass = Generator[int, None, Verdict]
"""Yields the bytes read by each step and returns the verdict."""


def due_values(file_id: int, generation: int) -> tuple[int, int, bytes, bytes]:
    """Return the values of MARK_DUE for a file."""
    return file_id, generation, EMPTY_SUM, NOTHING


def due_files(connection: sqlite3.Connection, *, limit: int = _DUE_AT_ONCE) -> Iterator[Due]:
    """Yield files to verify, the least recently verified first."""
    rows = connection.execute(_DUE, (FileState.ACTIVE, limit)).fetchall()
    yield from map(Due._make, rows)


def verify(descriptor: int, due: Due, *, max_line_bytes: int) -> Pass:
    """Read the part of a file again that was read before, in steps; raises OSError."""
    hasher = blake2b(digest_size=16)
    yield from _hash_prefix(descriptor, hasher, due.proved)
    if due.proved and hasher.digest() != due.prefix_hash:
        return Verdict(holds=False)

    def read_at(length: int, offset: int) -> bytes:
        chunk = os.pread(descriptor, length, offset)
        hasher.update(chunk)
        return chunk

    ids = told = 0
    reader = Reader(
        read_at,
        position=due.proved,
        limit=due.offset,
        max_line_bytes=max_line_bytes,
        chunk_bytes=STEP_BYTES,
    )
    for found in reader:
        ids += int.from_bytes(entry_id(due.key, found.offset, found.raw), "big")
        if reader.bytes_read > told:
            yield reader.bytes_read - told
            told = reader.bytes_read
    yield reader.bytes_read - told
    before = due.proved_sum if due.proved else EMPTY_SUM
    if reader.position == due.offset and add_ids(before, ids) == due.content_sum:
        return Verdict(holds=True, prefix_hash=hasher.digest())
    if not due.proved:
        return Verdict(holds=False)
    # A quarantined range before that may have been re-parsed since: all of it decides.
    return (yield from verify(descriptor, due._replace(proved=0), max_line_bytes=max_line_bytes))


def _hash_prefix(descriptor: int, hasher: _Hasher, length: int) -> Iterator[int]:
    position = 0
    while position < length:
        chunk = os.pread(descriptor, min(STEP_BYTES, length - position), position)
        if not chunk:  # it was cut: the hash is another one
            return
        hasher.update(chunk)
        position += len(chunk)
        yield len(chunk)


def keep_verdicts(buffer: Buffer, proved: Iterable[tuple[Due, Verdict]]) -> None:
    """Store that files were verified now."""
    now = time.time_ns() // 1000
    rows = [
        (due.file_id, due.generation, due.offset, due.content_sum, verdict.prefix_hash, now, 0)
        for due, verdict in proved
    ]
    if rows:
        with transaction(buffer.connection):
            buffer.connection.executemany(_KEEP, rows)


def forget_verdict(buffer: Buffer, file_ids: Iterable[int]) -> None:
    """Forget what was proved of files that are read again from their start."""
    with transaction(buffer.connection):
        buffer.connection.executemany(_FORGET, [(file_id,) for file_id in file_ids])


def within_budget(files: Iterable[Due], budget: int) -> Iterator[Due]:
    """Yield files as long as their bytes fit into the budget, and at least one."""
    left = budget
    for due in files:
        if left < budget and due.offset > left:
            return
        left -= due.offset
        yield due
