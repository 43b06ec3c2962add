"""Opening the buffer file and asking it who it is (docs/specs/buffer.md).

The sync agent writes the buffer. From here it is read in short transactions, and written in
two places only: a consumer's acknowledgement and the handshake, each one ``begin immediate``.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from annals.buffer.faults import missing_buffer, translated
from annals.buffer.schema import SCHEMA_VERSION
from annals.errors import LocalBufferError

BUSY_TIMEOUT_SECONDS = 10.0
FLAG = "annals_flag"
"""A column named ``x [annals_flag]`` is read as bool; converting in SQLite's driver is cheapest."""


def agent_id_of(connection: sqlite3.Connection) -> str:
    """Return the agent id of this buffer."""
    return str(_meta(connection, "agent_id"))


def pruned_through(connection: sqlite3.Connection) -> int:
    """Return the last seq that may be gone; records above it are all still held."""
    return int(_meta(connection, "pruned_through"))


def _meta(connection: sqlite3.Connection, key: str) -> str | int:
    row = connection.execute("select value from meta where key = ?", (key,)).fetchone()
    if row is None:
        raise LocalBufferError(
            f"the buffer has no {key}",
            hint="Run `annals sync once`: it sets a damaged buffer aside and salvages it.",
        )
    value: str | int = row[0]
    return value


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the highest seq ever given; pruning does not lower it."""
    query = "select seq from sqlite_sequence where name = 'records'"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def acknowledged(connection: sqlite3.Connection, consumer: str) -> int:
    """Return up to which seq a consumer has everything; 0 where it is not known."""
    query = "select acknowledged from consumers where name = ?"
    row = connection.execute(query, (consumer,)).fetchone()
    return int(row[0]) if row else 0


def consumers(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all consumers that ever acknowledged something."""
    return [name for (name,) in connection.execute("select name from consumers order by name")]


def now_microseconds() -> int:
    """Return the time in microseconds since the epoch: for people, never for correctness."""
    return time.time_ns() // 1000


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the buffer read-only, in one read transaction."""
    with (
        contextlib.closing(connect(path, mode="ro")) as connection,
        translated(path),
        transaction(connection, "begin"),
    ):
        yield connection


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the buffer in one ``begin immediate``, committed at the end of the body."""
    with (
        contextlib.closing(connect(path, mode="rw")) as connection,
        translated(path),
        transaction(connection, "begin immediate"),
    ):
        yield connection


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open an existing buffer; raise MissingBufferError if there is none."""
    if not path.exists():
        raise missing_buffer(path)
    uri = f"file:{quote(bytes(path))}?mode={mode}"
    sqlite3.register_converter(FLAG, b"0".__ne__)
    with translated(path):
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            detect_types=sqlite3.PARSE_COLNAMES,
        )
        try:
            connection.execute("pragma synchronous = full")
            connection.execute("pragma wal_autocheckpoint = 0")  # the agent alone checkpoints
            _refuse_unknown_version(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _refuse_unknown_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _meta(connection, "schema_version")
    if version != SCHEMA_VERSION:
        raise LocalBufferError(
            f"the buffer {path} has schema version {version}; this program knows {SCHEMA_VERSION}",
            hint="Use the version of Annals that wrote the buffer, or a newer one.",
            path=path,
        )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Run the body between ``begin`` and a commit; roll back where it raises."""
    connection.execute(begin)
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
