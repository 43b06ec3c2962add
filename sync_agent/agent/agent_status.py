"""How the agent stands, told from its buffer alone: also while no agent runs.

Everything is read through a read-only connection in short reads; nothing is locked or changed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path

from annals.buffer.schema import lacks_tables
from annals.locks import Holder, held_by
from annals.records.identity import readable
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.pruning import SHIPPER
from sync_agent.buffer.rows import FileState
from sync_agent.buffer.transaction_log import Row, newest
from sync_agent.watching.polled import POLLED_KEY

FILES_BEHIND = 5
"""So many files that are behind are named, those that are furthest behind."""

_LAST_SEQ = "select seq from sqlite_sequence where name = 'records'"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who takes records out of the buffer, and how far it has all of them.

    ``waiting`` counts records above ``acknowledged``; ``updated_at`` is in microseconds.
    """

    name: str
    acknowledged: int
    waiting: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Behind:
    """A file that has grown since it was read: ``bytes`` of it wait."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """The state of the agent and its buffer.

    ``holder`` is the process that has the buffer now, None where none has. ``synced`` counts the
    records that MongoDB has or, without a MONGO_URI, every lake, over the buffer's lifetime;
    ``pending`` are the others. Times are microseconds since the epoch, None for never. ``files``
    counts the files by state; ``behind`` names some that have grown since. ``oldest_pending_at``
    is when the first pending record was read. ``folders_polled`` counts the folders for which the
    system had no watch left.
    """

    holder: Holder | None
    agent_id: str | None = None
    pending: int = 0
    synced: int = 0
    records: int = 0
    last_seq: int = 0
    last_sync_at: int | None = None
    last_read_at: int | None = None
    oldest_pending_at: int | None = None
    consumers: tuple[Consumer, ...] = ()
    files: dict[str, int] | None = None
    files_behind: int = 0
    bytes_behind: int = 0
    behind: tuple[Behind, ...] = ()
    quarantined: int = 0
    dead_letters: int = 0
    buffer_bytes: int = 0
    folders_polled: int = 0

    @property
    def state(self) -> str:
        """``running``, ``stopped`` or, where nothing was ever read, ``new``."""
        if self.holder:
            return "running"
        return "stopped" if self.agent_id else "new"


def sync_status(settings: Settings) -> SyncStatus:
    """Read the status; without a buffer it is that of a new agent.

    Raises LocalBufferError where the buffer cannot be read.
    """
    holder = held_by(settings.buffer_lock)
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return SyncStatus(holder)
        return _told(connection, settings, holder)


def read_journal(settings: Settings, *, limit: int, since: int = 0) -> list[Row]:
    """Return the newest rows of the transaction log, the newest last; none without a buffer."""
    with reading(settings.sqlite_path) as connection:
        return newest(connection, limit=limit, since=since) if connection else []


def _told(connection: sqlite3.Connection, settings: Settings, holder: Holder | None) -> SyncStatus:
    consumers = tuple(_consumers(connection))
    done = _synced(consumers, ships=settings.mongo_uri is not None)
    behind = list(_behind(connection))
    refused = _count(connection, "select count(*) from dead_letters")
    return SyncStatus(
        holder=holder,
        agent_id=str(_value(connection, "select value from meta where key = 'agent_id'")),
        pending=_above(connection, done),
        synced=max(0, done - refused) if settings.mongo_uri else done,
        records=_above(connection, 0),
        last_seq=_count(connection, _LAST_SEQ),
        last_sync_at=max((one.updated_at for one in consumers), default=None),
        last_read_at=_value(
            connection, "select ingested_at from records order by seq desc limit 1"
        ),
        oldest_pending_at=_value(
            connection, "select ingested_at from records where seq > ? order by seq limit 1", done
        ),
        consumers=consumers,
        files=dict(connection.execute("select state, count(*) from files group by state")),
        files_behind=len(behind),
        bytes_behind=sum(one.bytes for one in behind),
        behind=tuple(nlargest(FILES_BEHIND, behind, key=lambda one: one.bytes)),
        quarantined=_count(connection, "select coalesce(sum(quarantined), 0) from files"),
        dead_letters=refused,
        buffer_bytes=_size(settings.sqlite_path),
        folders_polled=_polled(connection) if holder else 0,
    )


def _polled(connection: sqlite3.Connection) -> int:
    return _count(connection, "select value from meta where key = ?", POLLED_KEY)


def _synced(consumers: tuple[Consumer, ...], *, ships: bool) -> int:
    """Return up to where all is synced: with the shipper, or else with every other consumer."""
    counted = (one.acknowledged for one in consumers if (one.name == SHIPPER) is ships)
    return min(counted, default=0)


def _consumers(connection: sqlite3.Connection) -> Iterator[Consumer]:
    rows = connection.execute("select name, acknowledged, updated_at from consumers order by name")
    for name, acknowledged, updated_at in rows.fetchall():
        yield Consumer(name, acknowledged, _above(connection, acknowledged), updated_at)


def _above(connection: sqlite3.Connection, seq: int) -> int:
    """Return how many records lie above ``seq``, without a look at each: they have no gaps."""
    first = _value(connection, "select seq from records where seq > ? order by seq limit 1", seq)
    return 0 if first is None else _count(connection, _LAST_SEQ) - first + 1


def _behind(connection: sqlite3.Connection) -> Iterator[Behind]:
    """Yield every known file that is longer now than the agent noted; unfinished lines are not."""
    rows = connection.execute(
        "select path_bytes, coalesce(size, offset) from files join locations using (location_id)"
        " where state = ?",
        (FileState.ACTIVE,),
    )
    for path, size in rows:
        with contextlib.suppress(OSError):
            waiting = os.stat(path).st_size - size  # noqa: PTH116 -- the path is bytes
            if waiting > 0:
                yield Behind(readable(os.fsdecode(path)), waiting)


def _value(connection: sqlite3.Connection, query: str, *values: object) -> int | None:
    """Return the one value of a query, None where it has no row or its table is not made yet."""
    try:
        row = connection.execute(query, values).fetchone()
    except sqlite3.OperationalError:
        if not lacks_tables(connection):
            raise
        return None
    return row[0] if row else None


def _count(connection: sqlite3.Connection, query: str, *values: object) -> int:
    return int(_value(connection, query, *values) or 0)


def _size(path: Path) -> int:
    total = 0
    for suffix in ("", "-wal"):
        with contextlib.suppress(OSError):
            total += path.with_name(path.name + suffix).stat().st_size
    return total
