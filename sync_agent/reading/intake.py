"""One transcript file, read from its position into the buffer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from annals.records.columns import RecordKind
from annals.records.conversations import is_conversation
from annals.records.identity import entry_id, owning_session, readable
from sync_agent.buffer.fingerprints import EMPTY_SUM, Edges, add_ids, digest, read_edges
from sync_agent.buffer.rows import FileRow, FileState, Known, Location
from sync_agent.buffer.store import Buffer
from sync_agent.reading.file_changes import Course, Event, Task, choose_course, key_of
from sync_agent.reading.foreign_files import MARK, UNMARK, foreign_ids
from sync_agent.reading.opening import open_transcript
from sync_agent.reading.paths import Found
from sync_agent.reading.reader import Reader
from sync_agent.reading.record_rows import (
    NO_ADDITIONS,
    NO_ENVELOPE,
    Promoted,
    file_record,
    promoted_fields,
)
from sync_agent.reading.rereads import FINISH
from sync_agent.reading.tally import Tally
from sync_agent.reading.verification import MARK_DUE, due_values

_NOTHING = digest(b"")


class Read(NamedTuple):
    """What reading one file led to; ``pending`` are the bytes behind its position."""

    event: Event
    entries: int
    quarantined: int
    pending: int


def _nobody(_known: Known) -> None:
    """Be told of a file's position that nobody keeps in memory."""


@dataclass(slots=True)
class _Reading:
    """A file while it is read: ``row`` as last settled, and counts since then.

    ``is_proved`` says that all that was read before was compared first, not only its edges;
    ``is_conversation`` that an entry of a conversation was read since then.
    """

    row: FileRow
    location: Location
    reader: Reader
    event: Event
    started_at: int
    is_proved: bool = False
    is_conversation: bool = False
    entries: int = 0
    quarantined: int = 0
    entry_bytes: int = 0
    quarantined_bytes: int = 0
    ids: int = 0

    def settle_file(self, size: int | None = None, mtime_ns: int | None = None) -> None:
        """Move the counts into the row; its size and time stay unknown until the end."""
        row, reached = self.row, self.reader.fingerprint(self.row.fingerprint)
        judged = self.entry_bytes + self.quarantined_bytes
        self.row = row._replace(
            offset=self.reader.position,
            head_hash=reached.head_hash,
            head_length=reached.head_length,
            tail_hash=reached.tail_hash,
            size=size,
            mtime_ns=mtime_ns,
            entries=row.entries + self.entries,
            quarantined=row.quarantined + self.quarantined,
            entry_bytes=row.entry_bytes + self.entry_bytes,
            quarantined_bytes=row.quarantined_bytes + self.quarantined_bytes,
            separator_bytes=row.separator_bytes + self.reader.position - row.offset - judged,
            content_sum=add_ids(row.content_sum, self.ids),
        )
        self.entries = self.quarantined = self.entry_bytes = self.quarantined_bytes = self.ids = 0


class Intake:
    """Reads files below ``root`` into ``buffer`` and counts in ``tally``.

    ``due`` are files to verify (:mod:`sync_agent.reading.verification`). ``settled`` receives what
    is known of a file each time that its position is queued. The growth of a file is noted at most
    once in ``growth_seconds``; :meth:`note_growth` makes up for it.
    """

    def __init__(
        self,
        buffer: Buffer,
        *,
        root: bytes,
        host: str,
        max_line_bytes: int,
        tally: Tally,
        settled: Callable[[Known], None] = _nobody,
        growth_seconds: float = 0,
    ) -> None:
        self.due: set[int] = set()
        self._foreign: set[int] | None = None
        self._settled = settled
        self._growth_seconds = growth_seconds
        self._noted_at: dict[int, float] = {}
        self._not_noted: set[int] = set()
        self._buffer = buffer
        self._root = root
        self._host = host
        self._max_line_bytes = max_line_bytes
        self._tally = tally
        self._old_locations: dict[int, int] | None = None
        self._new_locations: dict[bytes, int] = {}

    def read(self, task: Task) -> Read:
        """Queue what is new in a file, and commit where the queue is long.

        Raises OSError where the file cannot be opened or read; what was read until then is queued
        with its position.
        """
        descriptor, found = open_transcript(task.found)
        try:
            read = self._take(descriptor, replace(task, found=found))
            self._tally.files_read += 1
            return read
        finally:
            os.close(descriptor)

    def mark_vanished(self, known: Known) -> None:
        """Note that a file is gone from where it stood; nothing else is changed."""
        row = self._buffer.file(known.file_id)._replace(state=FileState.VANISHED)
        location = self._buffer.location(row.location_id)
        self._note(Event.VANISHED, row, location)
        self._not_noted.discard(row.file_id)
        self._put(row, location)
        self._tally.files_vanished += 1

    def set_unreadable(self, task: Task) -> None:
        """Note that a file cannot be read now; a known one keeps its position."""
        self._tally.files_unreadable += 1
        if task.known is not None and task.known.state == FileState.ACTIVE:
            row = self._buffer.file(task.known.file_id)
            location = self._buffer.location(row.location_id)
            self._put(row._replace(state=FileState.UNREADABLE), location)

    def _put(self, row: FileRow, location: Location) -> None:
        self._buffer.put_file(row)
        self._settled(Known.of(row, location))

    def _take(self, descriptor: int, task: Task) -> Read:
        found, before = task.found, self._tally.entries
        quarantined = self._tally.quarantined
        reading = self._begin(descriptor, task)
        try:
            self._drain(reading)
        except BaseException:
            self._tally.bytes_read += reading.reader.bytes_read
            self._settle(reading)
            self._put(reading.row, reading.location)
            raise
        self._tally.bytes_read += reading.reader.bytes_read
        is_whole = not reading.reader.was_cut
        self._settle(reading, found if is_whole else None)
        row = reading.row
        if reading.event is not Event.GROWN or (
            row.offset > reading.started_at and self._is_growth_due(row.file_id)
        ):
            self._note(reading.event, row, reading.location)
            self._not_noted.discard(row.file_id)
        self._put(row, reading.location)
        if task.from_start:
            self._buffer.add_statement(FINISH, (found.path,))
        elif reading.started_at and not reading.is_proved:
            self._mark_due(row)
        self._mark_foreign(reading)
        return Read(
            reading.event,
            self._tally.entries - before,
            self._tally.quarantined - quarantined,
            max(0, found.size - row.offset),
        )

    def _mark_due(self, row: FileRow) -> None:
        """Have a file verified that was read on from a position: only its edges were compared."""
        if row.file_id not in self.due:
            self.due.add(row.file_id)
            self._buffer.add_statement(MARK_DUE, due_values(row.file_id, row.generation))

    def _mark_foreign(self, reading: _Reading) -> None:
        """Note a file of another program, or that it is not one after all."""
        file_id = reading.row.file_id
        if self._foreign is None:
            self._foreign = foreign_ids(self._buffer.connection)
        if reading.is_conversation and file_id in self._foreign:
            self._foreign.discard(file_id)
            self._buffer.add_statement(UNMARK, (file_id,))
        elif not (reading.is_conversation or reading.started_at) and reading.row.entries:
            self._foreign.add(file_id)
            self._buffer.add_statement(MARK, (file_id,))

    def _is_growth_due(self, file_id: int) -> bool:
        """Return whether the growth of a file is to be noted now; else remember that it is not."""
        if not self._growth_seconds:
            return True
        now = time.monotonic()
        is_due = now - self._noted_at.get(file_id, -self._growth_seconds) >= self._growth_seconds
        if is_due:
            self._noted_at[file_id] = now
        else:
            self._not_noted.add(file_id)
        return is_due

    def note_growth(self, *, all_of_it: bool = False) -> None:
        """Note the growth that was not noted when it was read, where its time has come."""
        for file_id in tuple(self._not_noted):
            if all_of_it or self._is_growth_due(file_id):
                row = self._buffer.file(file_id)
                self._note(Event.GROWN, row, self._buffer.location(row.location_id))
                self._not_noted.discard(file_id)

    def _begin(self, descriptor: int, task: Task) -> _Reading:
        """Return how to read on: from the position, or from the start of a generation."""
        found, known = task.found, task.known
        if known is None:
            return self._first(descriptor, found)
        row = self._buffer.file(known.file_id)
        edges = read_edges(descriptor, row.offset)
        self._tally.bytes_read += edges.bytes_read
        how = choose_course(row, size=found.size, mtime_ns=found.mtime_ns, edges=edges)
        is_whole = how is Course.VERIFY and self._still_holds(descriptor, row, known.key)
        if task.from_start or (how is Course.VERIFY and not is_whole):
            how = Course.RESTART
        if how is Course.RESTART and task.has_moved:
            self.mark_vanished(known)
            return self._first(descriptor, found)
        location = self._buffer.location(row.location_id)
        if location.path_bytes != found.path or location.host != self._host:
            location = self._location(found.path)
        if how is Course.RESTART:
            reading = self._first(descriptor, found, location)
            reading.event = Event.REPLACED
            reading.row = reading.row._replace(file_id=row.file_id, generation=row.generation + 1)
            return reading
        event = Event.MOVED if task.has_moved else Event.GROWN
        if row.state == FileState.VANISHED:
            event = Event.RETURNED
        row = row._replace(
            location_id=location.location_id,
            device=found.device,
            inode=found.inode,
            state=FileState.ACTIVE,
        )
        reader = self._reader(descriptor, limit=found.size, position=row.offset, edges=edges)
        return _Reading(row, location, reader, event, row.offset, is_whole)

    def _first(self, descriptor: int, found: Found, location: Location | None = None) -> _Reading:
        """Return the reading of a file from its start."""
        location = location or self._location(found.path)
        row = FileRow(
            file_id=self._buffer.new_file_id(),
            location_id=location.location_id,
            device=found.device,
            inode=found.inode,
            generation=0,
            size=None,
            mtime_ns=None,
            offset=0,
            head_hash=_NOTHING,
            head_length=0,
            tail_hash=_NOTHING,
            state=FileState.ACTIVE,
            entries=0,
            quarantined=0,
            entry_bytes=0,
            quarantined_bytes=0,
            separator_bytes=0,
            content_sum=EMPTY_SUM,
        )
        reader = self._reader(descriptor, limit=found.size)
        return _Reading(row, location, reader, Event.DISCOVERED, 0)

    def _drain(self, reading: _Reading) -> None:
        """Queue every range that the reader yields; commit at each full batch."""
        location = reading.location
        key, session = location.key_bytes, owning_session(location.file_key)
        here = (location.location_id, reading.row.generation)
        nothing: Promoted = (session, *NO_ENVELOPE)
        now = time.time_ns() // 1000
        add, buffer = self._buffer.add_record, self._buffer
        for offset, raw, envelope, reason in reading.reader:
            length = len(raw)
            ident = entry_id(key, offset, raw)
            reading.ids += int.from_bytes(ident, "big")
            if envelope is None:
                reading.quarantined += 1
                reading.quarantined_bytes += length
                kind, fields = RecordKind.QUARANTINE.value, nothing
            else:
                reading.entries += 1
                reading.entry_bytes += length
                if not reading.is_conversation:
                    reading.is_conversation = is_conversation(envelope.type, envelope.uuid)
                kind, fields = RecordKind.ENTRY.value, promoted_fields(envelope, session)
            add((ident, kind, *here, offset, length, *fields, reason, now, *NO_ADDITIONS, raw))
            if buffer.is_due:
                self._checkpoint(reading)
                now = time.time_ns() // 1000

    def _checkpoint(self, reading: _Reading) -> None:
        """Commit what is queued, with the position that belongs to it."""
        self._settle(reading)
        self._put(reading.row, reading.location)
        if reading.event is not Event.GROWN:
            self._note(reading.event, reading.row, reading.location)
            reading.event = Event.GROWN
        self._buffer.commit()
        self._tally.progressed(reading.reader.bytes_read)

    def _settle(self, reading: _Reading, whole: Found | None = None) -> None:
        """Move what was counted since the last time into the row; ``whole`` is the file as read."""
        self._tally.entries += reading.entries
        self._tally.quarantined += reading.quarantined
        if whole is None:
            reading.settle_file()
        else:
            reading.settle_file(whole.size, whole.mtime_ns)

    def _still_holds(self, descriptor: int, row: FileRow, key: bytes) -> bool:
        """Return whether all that was read of a file is still in it, byte by byte."""
        reader = self._reader(descriptor, limit=row.offset)
        ids = sum(int.from_bytes(entry_id(key, found.offset, found.raw), "big") for found in reader)
        self._tally.bytes_read += reader.bytes_read
        return reader.position == row.offset and add_ids(EMPTY_SUM, ids) == row.content_sum

    def _reader(
        self, descriptor: int, *, limit: int, position: int = 0, edges: Edges | None = None
    ) -> Reader:
        return Reader(
            partial(os.pread, descriptor),
            position=position,
            limit=limit,
            max_line_bytes=self._max_line_bytes,
            edges=edges,
        )

    def _note(self, event: Event, row: FileRow, location: Location) -> None:
        """Queue the file record that reports ``event``."""
        self._buffer.add_record(file_record(event, row, location))

    def _location(self, path: bytes) -> Location:
        """Return the location of ``path``, queued where it is new."""
        known = self._location_id(path)
        project, key = key_of(path, self._root)
        location = Location(
            location_id=known or self._buffer.new_location_id(),
            host=self._host,
            root=self._root,
            project_id=readable(os.fsdecode(project)),
            file_path=readable(os.fsdecode(path)),
            file_key=readable(os.fsdecode(key)),
            key_bytes=key,
            path_bytes=path,
        )
        if known is None:
            self._buffer.add_location(location)
            self._new_locations[path] = location.location_id
        return location

    def _location_id(self, path: bytes) -> int | None:
        """Return the location of ``path``, None where it is new.

        Of locations that were there before, only the hash of the path is in memory.
        """
        if self._old_locations is None:
            rows = self._buffer.location_ids(self._host, self._root)
            self._old_locations = {hash(old): location_id for old, location_id in rows}
        if path in self._new_locations:
            return self._new_locations[path]
        known = self._old_locations.get(hash(path))
        if known is None or self._buffer.location(known).path_bytes == path:
            return known
        rows = self._buffer.location_ids(self._host, self._root)  # two paths with one hash
        return dict(rows).get(path)
