"""The durable buffer: one SQLite file of records and positions (docs/specs/buffer.md).

Whatever is added is queued; :meth:`Buffer.commit` writes all of it in one transaction, so a
position never stands before or behind its records. A long queue is made durable in the background
while the next one fills; other users of the connection wait for that first.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import fields
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from annals.buffer.faults import damaged, displaced, file_at, translated
from annals.buffer.schema import (
    FILE_COLUMNS,
    LOCATION_COLUMNS,
    RECORD_COLUMNS,
    SCHEMA_VERSION,
    SELECT_FILE,
    SELECT_LOCATION,
    insert_statement,
)
from annals.errors import LocalBufferError
from annals.files import make_database, make_folder, require_database
from sync_agent.buffer.legacy_file import set_aside
from sync_agent.buffer.rows import FileRow, Known, Location
from sync_agent.buffer.tables import add_tables, create
from sync_agent.buffer.transaction_log import note, note_batch

BATCH_BYTES = 8 * 1024 * 1024
BATCH_ROWS = 5_000
LARGE_BYTES = 4 * 1024 * 1024
"""From this length on a value is written in steps, without copies in SQLite's memory."""

CACHED_FILES = 2_000
"""Of so many files, those put last, position and place are kept in memory."""

_BACKGROUND_BYTES = 1024 * 1024
_STEP_BYTES = 1024 * 1024
_BUSY_SECONDS = 30.0

_TOGETHER = 32
"""Records that one statement inserts: at each statement another thread may take its turn."""

_INSERT_LOCATION = insert_statement("locations", LOCATION_COLUMNS)
_INSERT_RECORD = insert_statement("records", RECORD_COLUMNS)
_INSERT_RECORDS = insert_statement("records", RECORD_COLUMNS, rows=_TOGETHER)
_REPLACE_FILE = insert_statement("files", FILE_COLUMNS, replace=True)

# Not astuple(): that copies every value, which at one line a commit is a tenth of all work.
_LOCATION_VALUES = attrgetter(*(field.name for field in fields(Location)))

Cached = TypeVar("Cached")

RecordRow = tuple[Any, ...]
"""The values of RECORD_COLUMNS, in that order; the last one is ``raw``."""


class Buffer:
    """The open buffer, with a batch of what is not written yet. One process has it at a time."""

    messages: tuple[str, ...] = ()
    """What a person should know about how the buffer was opened."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._file = file_at(path)
        self._connection = connection
        self._committing: _Commit | None = None
        self._locations: list[Location] = []
        self._records: list[RecordRow] = []
        self._large: list[int] = []
        self._bytes = 0
        self._files: dict[int, FileRow] = {}
        self._rows: dict[int, FileRow] = {}
        self._places: dict[int, Location] = {}
        self._others: list[tuple[str, tuple[Any, ...]]] = []
        self._next_location = self._following("location_id", "locations")
        self._next_file = self._following("file_id", "files")

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, with everything durable that was committed before."""
        self.settle_file()
        return self._connection

    def settle_file(self) -> bool:
        """Wait until the last commit is durable; raise what it raised.

        Returns whether there was one that was not known to be.
        """
        commit, self._committing = self._committing, None
        if commit is not None:
            commit.join()
            if commit.error is not None:
                _roll_back(self._connection)
                raise commit.error
        return commit is not None

    def require_in_place(self) -> None:
        """Raise LocalBufferError where the file at the path is not the one that was opened.

        What is written to a file that has no name any more is gone when it is closed.
        """
        if file_at(self.path) != self._file:
            raise displaced(self.path)

    def roll_back_changes(self) -> None:
        """Wait for a commit under way, whatever comes of it."""
        if self._committing is not None:
            self._committing.join()

    def meta(self, key: str) -> Any:
        """Return the value of ``key`` in the table ``meta``."""
        row = self.connection.execute("select value from meta where key = ?", (key,)).fetchone()
        return row[0] if row else None

    def known_files(self, root: bytes) -> Iterator[Known]:
        """Yield what is known of every file below ``root``, as it was when this began."""
        rows = self.connection.execute(
            "select path_bytes, size, mtime_ns, inode, device, state, file_id, location_id, host,"
            " key_bytes, offset from files join locations using (location_id) where root = ?",
            (root,),
        )
        yield from map(Known._make, rows)

    def file(self, file_id: int) -> FileRow:
        """Return the row of a file, as it was put last."""
        row = self._files.get(file_id) or self._rows.get(file_id)
        if row is None:
            row = FileRow(*self.connection.execute(SELECT_FILE, (file_id,)).fetchone())
        return row

    def location(self, location_id: int) -> Location:
        """Return where the location's file stands."""
        known = self._places.get(location_id)
        if known is None:
            row = self.connection.execute(SELECT_LOCATION, (location_id,)).fetchone()
            known = Location(*row)
            _remember(self._places, location_id, known)
        return known

    def location_ids(self, host: str, root: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield path and location of all that ever held a file below ``root`` on ``host``."""
        return self.connection.execute(
            "select path_bytes, location_id from locations where host = ? and root = ?",
            (host, root),
        )

    def new_location_id(self) -> int:
        """Return an id that no location has."""
        self._next_location += 1
        return self._next_location - 1

    def new_file_id(self) -> int:
        """Return an id that no file has."""
        self._next_file += 1
        return self._next_file - 1

    def add_location(self, location: Location) -> None:
        """Queue a new location."""
        self._locations.append(location)
        _remember(self._places, location.location_id, location)

    def add_record(self, row: RecordRow) -> None:
        """Queue a record; its sequence number follows from the order of these calls."""
        length = len(row[-1])
        if length >= LARGE_BYTES:
            self._large.append(len(self._records))
        self._records.append(row)
        self._bytes += length

    def put_file(self, row: FileRow) -> None:
        """Queue the new state of a file: that after the records queued so far."""
        self._files[row.file_id] = row
        _remember(self._rows, row.file_id, row)

    def add_statement(self, statement: str, values: tuple[Any, ...]) -> None:
        """Queue one more statement for the transaction of the next commit that has records."""
        self._others.append((statement, values))

    @property
    def is_due(self) -> bool:
        """Whether the queue is long enough to be written; it must be, after a large record."""
        return self._bytes >= BATCH_BYTES or len(self._records) >= BATCH_ROWS or bool(self._large)

    @property
    def has_queued(self) -> bool:
        """Whether a commit has anything to write."""
        return bool(self._records or self._files or self._locations)

    def commit(self) -> None:
        """Write everything queued in one transaction.

        It is durable when this or, for a long queue, the next use of the buffer returns.
        """
        connection = self.connection
        if not self.has_queued:
            return
        self.require_in_place()
        in_background = self._bytes >= _BACKGROUND_BYTES
        connection.execute("begin immediate")
        try:
            self._write(connection)
            if not in_background:
                connection.execute("commit")
        except BaseException:
            _roll_back(connection)
            raise
        if in_background:
            self._committing = _Commit(connection)
            self._committing.start()
        self._locations.clear()
        self._records.clear()
        self._large.clear()
        self._files.clear()
        self._others.clear()
        self._bytes = 0

    def _write(self, connection: sqlite3.Connection) -> None:
        write, records = connection.executemany, self._records
        write(_INSERT_LOCATION, map(_LOCATION_VALUES, self._locations))
        done = 0
        for place in self._large:
            _insert(connection, records[done:place])
            insert_large(connection, records[place])
            done = place + 1
        _insert(connection, records[done:] if done else records)
        write(_REPLACE_FILE, self._files.values())
        for statement, values in self._others:
            connection.execute(statement, values)
        note_batch(connection, records)

    def check(self) -> None:
        """Read the whole file; raise DamagedBufferError where it is not sound."""
        (found,) = self.connection.execute("pragma quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(self.path, found)

    def _following(self, column: str, table: str) -> int:
        query = f"select coalesce(max({column}), 0) + 1 from {table}"  # noqa: S608 -- constants
        return int(self.connection.execute(query).fetchone()[0])


def _remember(cache: dict[int, Cached], key: int, value: Cached) -> None:
    """Keep ``value`` for the files that are written to all the time; the oldest one goes."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > CACHED_FILES:
        del cache[next(iter(cache))]


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "begin immediate") -> Iterator[None]:
    """Run the body in one transaction, immediate by itself: all of it happens, or nothing."""
    connection.execute(begin)
    try:
        yield
        connection.execute("commit")
    finally:
        _roll_back(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    """Undo a transaction that is still open; SQLite itself has ended it after some errors."""
    if connection.in_transaction:
        connection.execute("rollback")


class _Commit(threading.Thread):
    """A commit in the background: the connection belongs to it until it is joined."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(name="buffer-commit")
        self._connection = connection
        self.error: sqlite3.Error | None = None

    def run(self) -> None:
        """Commit, and keep what it raises for the thread that joins."""
        try:
            self._connection.execute("commit")
        except sqlite3.Error as error:
            self.error = error


def _insert(connection: sqlite3.Connection, rows: list[RecordRow]) -> None:
    """Insert records in their order, many at a time where there are many."""
    whole = len(rows) - len(rows) % _TOGETHER
    groups = (rows[start : start + _TOGETHER] for start in range(0, whole, _TOGETHER))
    connection.executemany(_INSERT_RECORDS, (tuple(chain(*group)) for group in groups))
    connection.executemany(_INSERT_RECORD, rows[whole:])


def insert_large(connection: sqlite3.Connection, row: RecordRow) -> None:
    """Insert a record whose raw bytes are long, written in steps to spare memory."""
    *values, raw = row
    statement = f"{_INSERT_RECORD.removesuffix('?)')}zeroblob(?))"
    seq = connection.execute(statement, (*values, len(raw))).lastrowid or 0
    with connection.blobopen("records", "raw", seq) as blob, memoryview(raw) as view:
        for start in range(0, len(raw), _STEP_BYTES):
            blob.write(view[start : start + _STEP_BYTES])


@contextlib.contextmanager
def open_buffer(path: Path) -> Iterator[Buffer]:
    """Open the buffer at ``path``, made where it is not there yet.

    The original service's buffer at this path is set aside first; ``messages`` says so.

    Raises LocalBufferError where the file is another program's, newer, or cannot be written,
    DamagedBufferError where it is corrupt, DiskFullError without space; so does the body.
    """
    with translated(path):
        make_folder(path.parent, named=True)
        aside = set_aside(path)
        require_database(path)
        connection = connect(path)
        with contextlib.closing(connection):
            _require_ours(connection, path)
            buffer = Buffer(connection, path)
            if aside is not None:
                note(connection, "set aside", path=str(aside))
                buffer.messages = (f"{path} was the original service's; it is {aside} now",)
            try:
                yield buffer
                buffer.settle_file()
            finally:
                buffer.roll_back_changes()


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection of the buffer's one writer."""
    connection = sqlite3.connect(
        make_database(path), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma synchronous = full")
        connection.execute("select count(*) from sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in connection.execute("select name from sqlite_master")}
    if not tables:
        create(connection)
        return
    version = None
    if {"meta", "locations", "files", "records"} <= tables:
        version = connection.execute(
            "select value from meta where key = 'schema_version'"
        ).fetchone()
    if version is None:
        raise LocalBufferError(
            f"{path} is an SQLite file of another program",
            hint="Set SQLITE_PATH to a file of its own; this one was left untouched.",
            path=path,
        )
    if version[0] != SCHEMA_VERSION:
        raise LocalBufferError(
            f"the buffer {path} has schema version {version[0]}, this program knows"
            f" {SCHEMA_VERSION}",
            hint="Use the version of Annals that wrote it, or set SQLITE_PATH to another file.",
            path=path,
        )
    add_tables(connection)
