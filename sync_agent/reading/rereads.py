"""Files to read again from their start, as new generations (docs/specs/reader.md, R-43).

What verification or ``validate --deep`` finds wrong is noted in the buffer; the next sync, or the
running agent, reads it. A row is deleted in the transaction that stores the new generation, and
reading twice changes nothing, so a crash between any two steps loses nothing.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.rows import FileState, Known
from sync_agent.buffer.store import Buffer, transaction
from sync_agent.reading.file_changes import Plan, Task
from sync_agent.reading.paths import Listing

FINISH = "delete from rereads where path_bytes = ?"
_FIND = """
    select distinct path_bytes from files join locations using (location_id)
    where state <> :vanished and (path_bytes = :path or file_path = :name or file_key = :name
          or substr(file_path, -length(:name) - 1) = '/' || :name)
"""
_QUEUE = "insert or replace into rereads (path_bytes, asked_at, reason) values (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Requeued:
    """What was queued: the paths to read again, and the names that mean no file that is here."""

    queued: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def queue_files(buffer: Buffer, names: Sequence[str], *, reason: str) -> Requeued:
    """Queue files for a full re-read; a name is a path, the end of one, or a file key."""
    buffer.commit()
    named = _find_files(buffer.connection, names)
    queue_paths(buffer, map(os.fsencode, named.queued), reason=reason)
    return named


def find_files(settings: Settings, names: Sequence[str]) -> Requeued:
    """Return which files would be queued; nothing is changed."""
    with reading(settings.sqlite_path) as connection:
        return Requeued((), tuple(names)) if connection is None else _find_files(connection, names)


def _find_files(connection: sqlite3.Connection, names: Sequence[str]) -> Requeued:
    found: dict[bytes, None] = {}
    unknown = []
    for name in names:
        values = {
            "path": os.fsencode(name),
            "name": name.encode("utf-8", "replace").decode("utf-8"),
            "vanished": FileState.VANISHED,
        }
        paths = [path for (path,) in connection.execute(_FIND, values)]
        found |= dict.fromkeys(paths)
        unknown += [] if paths else [name]
    return Requeued(tuple(map(os.fsdecode, found)), tuple(unknown))


def queue_paths(buffer: Buffer, paths: Iterable[bytes], *, reason: str) -> None:
    """Queue files by their exact paths."""
    now = time.time_ns() // 1000
    with transaction(buffer.connection):
        buffer.connection.executemany(_QUEUE, [(path, now, reason) for path in paths])


def queued_paths(connection: sqlite3.Connection) -> set[bytes]:
    """Return the paths of the files that wait to be read again."""
    return {path for (path,) in connection.execute("select path_bytes from rereads")}


def add_rereads(
    todo: Plan, listing: Listing, known_files: Iterable[Known], wanted: set[bytes]
) -> Plan:
    """Return the plan with those of the ``wanted`` files that are listed read from their start."""
    if not wanted:
        return todo
    known: Mapping[bytes, Known] = {
        item.path: item
        for item in known_files
        if item.path in wanted and item.state != FileState.VANISHED
    }
    tasks = [
        replace(task, from_start=task.from_start or task.found.path in wanted)
        for task in todo.tasks
    ]
    planned = {task.found.path for task in tasks}
    tasks += [
        Task(found, known[found.path], from_start=True)
        for found in listing.files
        if found.path in wanted - planned and found.path in known
    ]
    return replace(todo, tasks=tasks)


def forget_missing(buffer: Buffer, listing: Listing, wanted: set[bytes]) -> None:
    """Forget wanted files below the root that are gone: nothing is left to read there."""
    listed = {found.path for found in listing.files if found.path in wanted}
    prefix = listing.root.rstrip(b"/") + b"/"
    gone = [path for path in wanted - listed if path.startswith(prefix) and listing.knows(path)]
    if gone:
        with transaction(buffer.connection):
            buffer.connection.executemany(FINISH, [(path,) for path in gone])
