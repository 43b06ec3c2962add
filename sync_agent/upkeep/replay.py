"""``sync replay``: records that were shipped before travel again, under new numbers.

Ids come from content, so a second journey changes nothing where the first one arrived. What the
buffer still has is copied; what was pruned is read again from its file, where that still holds it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from annals.buffer.schema import RECORD_COLUMNS
from annals.records.identity import entry_id, owning_session
from annals.records.opening import open_known
from annals.settings import Settings
from sync_agent.buffer.fingerprints import read_edges
from sync_agent.buffer.pruning import SHIPPER
from sync_agent.buffer.rows import FileRow, FileState, Location
from sync_agent.buffer.store import Buffer, transaction
from sync_agent.buffer.transaction_log import note
from sync_agent.reading.ranges import Range
from sync_agent.reading.reader import Reader
from sync_agent.reading.record_rows import range_record

_STEP_ROWS = 500
_CHOSEN = """
    create temp table replayed as
    select max(seq) as seq from records join locations using (location_id)
    where (:session is null or session_id = :session)
          and (:file is null or file_path = :file or file_key = :file
               or substr(file_path, -length(:file) - 1) = '/' || :file)
          and (:since is null or coalesce(timestamp,
               strftime('%Y-%m-%dT%H:%M:%fZ', ingested_at / 1e6, 'unixepoch')) >= :since)
    group by entry_id order by 1
"""
_WAITING = """
    delete from temp.replayed
    where seq > coalesce((select max(acknowledged) from consumers where (name = ?) = ?), 0)
"""
_COPY = (
    f"insert into records ({RECORD_COLUMNS}) select {RECORD_COLUMNS}"  # noqa: S608 -- constants
    " from records join temp.replayed using (seq)"
    " where replayed.rowid > ? and replayed.rowid <= ? order by seq"
)
_FILES = """
    select file_id, entries + quarantined, coalesce(held, 0)
    from files join locations l using (location_id)
    left join (select location_id, count(distinct entry_id) as held from records
               where record_kind <> 'file' group by location_id) using (location_id)
    where (:file is null or l.file_path = :file or l.file_key = :file
           or substr(l.file_path, -length(:file) - 1) = '/' || :file)
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records: all that meet every condition that is given.

    ``file`` is a path, the end of one, or a file key; ``since`` is ISO 8601 in UTC and compared
    with the entry's own time or, where it has none, with when it was read.
    """

    since: str | None = None
    session_id: str | None = None
    file: str | None = None

    def takes(self, found: Range, *, session: str, read_at: str) -> bool:
        """Return whether a range that was read again is selected."""
        envelope = found.envelope
        own_session = (envelope and envelope.session_id) or session
        own_time = (envelope and envelope.timestamp) or read_at
        return self.session_id in (None, own_session) and (self.since or "") <= own_time


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: records that got new numbers, out of the buffer and out of files.

    ``waiting`` were never shipped and travel anyway. ``files_missing`` had pruned records and
    do not hold them any more: of these only MongoDB or the lake knows.
    """

    requeued: int = 0
    reread: int = 0
    waiting: int = 0
    files_reread: int = 0
    files_missing: int = 0


def replay(buffer: Buffer, settings: Settings, selection: Selection) -> Replayed:
    """Give every selected record a new number, in bounded steps; what waits already is left."""
    buffer.commit()
    connection = buffer.connection
    pruned = int(buffer.meta("pruned_through")) > 0
    last_rows = list(_lacking(connection, selection)) if pruned else []
    ships = settings.mongo_uri is not None
    requeued, waiting = _requeue(connection, selection, ships=ships)
    reread = files_reread = files_missing = 0
    if last_rows:
        with _held_ids(connection):
            for file_id in last_rows:
                found = _read_again(buffer, settings, selection, buffer.file(file_id))
                files_missing += found is None
                files_reread += found is not None
                reread += found or 0
    if requeued or reread:
        note(connection, "replayed", count=requeued + reread)
    return Replayed(requeued, reread, waiting, files_reread, files_missing)


def _requeue(
    connection: sqlite3.Connection, selection: Selection, *, ships: bool
) -> tuple[int, int]:
    """Copy the newest copy of each selected record that was shipped; count those that were not."""
    names = {
        "session": selection.session_id,
        "file": selection.file,
        "since": selection.since,
    }
    connection.execute(_CHOSEN, names)
    try:
        waiting = connection.execute(_WAITING, (SHIPPER, ships)).rowcount
        (last,) = connection.execute("select coalesce(max(rowid), 0) from replayed").fetchone()
        requeued = 0
        for start in range(0, last, _STEP_ROWS):
            with transaction(connection):
                requeued += connection.execute(_COPY, (start, start + _STEP_ROWS)).rowcount
    finally:
        connection.execute("drop table temp.replayed")
    return requeued, waiting


def _lacking(connection: sqlite3.Connection, selection: Selection) -> Iterator[int]:
    """Yield the files of which the buffer no longer has every range."""
    for file_id, ranges, held in connection.execute(_FILES, {"file": selection.file}):
        if held < ranges:
            yield file_id


@contextlib.contextmanager
def _held_ids(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep the ids of all records in a table for the time of the body."""
    connection.execute("create temp table held (entry_id blob primary key) without rowid")
    try:
        connection.execute("insert or ignore into held select entry_id from records")
        yield
    finally:
        connection.execute("drop table temp.held")


def _read_again(
    buffer: Buffer, settings: Settings, selection: Selection, row: FileRow
) -> int | None:
    """Queue the selected ranges that were pruned; None where the file no longer holds them."""
    location = buffer.location(row.location_id)
    try:
        descriptor = open_known(location.path_bytes, location.key_bytes)
    except OSError:
        return None
    try:
        if row.state == FileState.VANISHED or not read_edges(descriptor, row.offset).match(
            row.fingerprint
        ):
            return None
        reader = Reader(
            partial(os.pread, descriptor),
            position=0,
            limit=row.offset,
            max_line_bytes=settings.max_line_bytes,
        )
        read_at = _iso(os.fstat(descriptor).st_mtime)
        return _queue(buffer, selection, reader, row=row, location=location, read_at=read_at)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _queue(
    buffer: Buffer,
    selection: Selection,
    reader: Reader,
    *,
    row: FileRow,
    location: Location,
    read_at: str,
) -> int:
    session = owning_session(location.file_key)
    count = 0
    for found in reader:
        if not selection.takes(found, session=session, read_at=read_at):
            continue
        ident = entry_id(location.key_bytes, found.offset, found.raw)
        held = "select 1 from temp.held where entry_id = ?"
        if buffer.connection.execute(held, (ident,)).fetchone():
            continue
        buffer.add_record(range_record(found, location, generation=row.generation))
        count += 1
        if buffer.is_due:
            buffer.commit()
    buffer.commit()
    return count


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
