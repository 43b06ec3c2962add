"""What the original service never synced, taken over from the buffer that was set aside.

Its tables are ``pending_entries`` and ``file_positions`` (docs/specs/legacy-buffer.md says what is
assumed of them). Transcripts that are still on disk are read as usual, which gives their entries
the ids that they would have had anyway; an unsynced row whose entry is in none of them becomes an
entry of its own, under a file key that begins with ``legacy/``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from annals.records.identity import readable
from annals.settings import Settings
from sync_agent.buffer.legacy_file import list_set_aside, open_aside
from sync_agent.buffer.rows import Location
from sync_agent.buffer.store import Buffer, transaction
from sync_agent.buffer.transaction_log import note
from sync_agent.reading.ranges import NOT_JSON, Range, read_entry
from sync_agent.reading.record_rows import range_record

_TAKEN_KEY = "legacy_taken:"
_UNNAMED = "unknown"
_COMPARED_BYTES = 8 * 1024 * 1024

Values = dict[str, Any]

_COLUMNS = {
    "number": ("id", "entry_id", "rowid"),
    "project": ("project_id", "projectid", "project"),
    "session": ("session_id", "sessionid", "session"),
    "content": (
        *("entry", "entry_data", "entry_json", "payload", "data", "raw", "content", "json"),
        *("message", "document", "line", "body", "value"),
    ),
    "file": ("file_path", "filepath", "file", "source_file", "sourcefile", "path"),
    "synced": ("synced", "is_synced", "issynced"),
    "made": ("created_at", "createdat", "timestamp", "inserted_at"),
}
"""The columns of ``pending_entries`` by meaning, each under the names that are recognised."""


class Row(NamedTuple):
    """An unsynced row. ``offset`` is where its content would stand in a file of all of them."""

    project: str
    session: str
    content: bytes
    file: str | None
    offset: int
    made_at: int


def take_over(buffer: Buffer, settings: Settings) -> list[str]:
    """Take what a buffer set aside never synced, once; return a message for each such buffer.

    To be called after the transcripts have been read and committed. Where nothing was set aside
    that is one look into a folder. A crash before the end has it done again, under equal ids.
    """
    messages = []
    for aside in list_set_aside(buffer.path):
        key = _TAKEN_KEY + aside.name
        if buffer.meta(key) is not None:
            continue
        taken = _Taken(buffer, settings, aside)
        try:
            taken.run()
        except _UnreadableError as error:
            taken.fault = f"; it cannot be read to its end: {error}"
        with transaction(buffer.connection):
            buffer.connection.execute(
                "insert or replace into meta (key, value) values (?, ?)", (key, taken.count)
            )
            note(buffer.connection, "taken over", path=str(aside), count=taken.count)
        messages.append(
            f"the buffer of the original service was set aside as {aside}, and {taken.count} rows"
            f" that it never synced and that no transcript holds were taken over{taken.fault}"
        )
    return messages


class _UnreadableError(Exception):
    """The buffer that was set aside cannot be read any further."""


class _Taken:
    """One taking over: the rows that no transcript holds become records of ``buffer``."""

    def __init__(self, buffer: Buffer, settings: Settings, aside: Path) -> None:
        self.count = 0
        self.fault = ""
        self._buffer = buffer
        self._settings = settings
        self._aside = aside
        self._locations: dict[tuple[str, str], Location] = {}

    def run(self) -> None:
        """Take every row; what was committed before an error stays."""
        try:
            known = _known(self._buffer.connection, _rows(self._aside))
            for row in _rows(self._aside):
                if _mark(row.content) not in known:
                    self._take(row)
        finally:
            self._buffer.commit()

    def _take(self, row: Row) -> None:
        place = (row.project, row.session)
        if place not in self._locations:
            self._locations[place] = _location(self._buffer, self._settings, self._aside, *place)
        envelope = read_entry(row.content)
        found = Range(row.offset, row.content, envelope, None if envelope else NOT_JSON)
        location = self._locations[place]
        record = range_record(
            found, location, generation=0, session=row.session, read_at=row.made_at
        )
        self._buffer.add_record(record)
        self.count += 1
        if self._buffer.is_due:
            self._buffer.commit()


def _known(ours: sqlite3.Connection, rows: Iterator[Row]) -> set[str]:
    """Return the marks of those ``rows`` whose entries were read from a transcript."""
    wanted = {_mark(row.content) for row in rows}
    found = ours.execute(
        "select uuid, case when uuid is null and byte_length < ? then raw end from records"
        " where record_kind = 'entry'",
        (_COMPARED_BYTES,),
    )
    return wanted.intersection(uuid or _mark(raw or b"") for uuid, raw in found)


def _mark(content: bytes) -> str:
    """Return what tells an entry: its uuid or, without one, a hash of its members."""
    envelope = read_entry(content)
    if envelope and envelope.uuid:
        return envelope.uuid
    with contextlib.suppress(ValueError, RecursionError):
        content = json.dumps(json.loads(content), sort_keys=True).encode()
    return blake2b(content, digest_size=16).hexdigest()


def _location(
    buffer: Buffer, settings: Settings, aside: Path, project: str, session: str
) -> Location:
    """Return where rows of a session stand: in no folder of transcripts, below what was set aside.

    The key has the session's name in the place of its file, as every key has.
    """
    root = bytes(settings.claude_dirs[0])
    name = re.sub(r"[/\0]", "_", session)
    folder = re.sub(r"[/\0]", "_", project)
    key = os.fsencode(f"legacy/{name}.jsonl")
    path = os.fsencode(aside) + b"/" + os.fsencode(folder) + b"/" + key
    known = dict(buffer.location_ids(settings.host_name, root)).get(path)
    location = Location(
        location_id=known or buffer.new_location_id(),
        host=settings.host_name,
        root=root,
        project_id=project,
        file_path=readable(os.fsdecode(path)),
        file_key=readable(os.fsdecode(key)),
        key_bytes=key,
        path_bytes=path,
    )
    if known is None:
        buffer.add_location(location)
        buffer.commit()
    return location


def _rows(aside: Path) -> Iterator[Row]:
    """Yield the unsynced rows in the order of their numbers, whatever the columns are called."""
    try:
        with contextlib.closing(open_aside(aside)) as connection:
            ends: dict[str, int] = {}
            for named, row in _named_rows(connection):
                if _is_true(named["synced"]):
                    continue
                found = _row(named, row)
                start = ends.get(found.session, 0)
                ends[found.session] = start + len(found.content) + 1
                yield found._replace(offset=start)
    except sqlite3.DatabaseError as error:
        raise _UnreadableError(str(error)) from error


def _named_rows(connection: sqlite3.Connection) -> Iterator[tuple[Values, Values]]:
    """Yield each row twice: by meaning, None where no column has it, and by its own columns."""
    columns = [row[1] for row in connection.execute("pragma table_info(pending_entries)")]
    spelled = {name.lower(): name for name in columns}
    names = {
        meaning: next((spelled[name] for name in choices if name in spelled), "")
        for meaning, choices in _COLUMNS.items()
    }
    order = '"' + names["number"] + '"' if names["number"] else "rowid"
    query = f"select * from pending_entries order by {order}"  # noqa: S608 -- its own column
    for values in connection.execute(query):
        row = dict(zip(columns, values, strict=True))
        yield {meaning: row.get(name) for meaning, name in names.items()}, row


def _row(named: Values, row: Values) -> Row:
    content = named["content"]
    if content is None:  # no column that is known to hold the entry: the row itself is kept
        content = json.dumps(row, default=str, ensure_ascii=False)
    data = content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
    data = data.strip(b" \t\r\n\0") or b"null"
    file = str(named["file"]) if named["file"] else None
    session = named["session"] or _session(data) or (Path(file).stem if file else _UNNAMED)
    project = str(named["project"] or _UNNAMED)
    return Row(_text(project), _text(str(session)), data, file, 0, _microseconds(named["made"]))


def _session(content: bytes) -> str | None:
    envelope = read_entry(content)
    return envelope.session_id if envelope else None


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("1", "true", "yes", "t") if value is not None else False


def _microseconds(value: Any) -> int:
    """Return a time in microseconds: a number of seconds to microseconds, ISO 8601, or now."""
    if isinstance(value, int | float) and value > 0:
        for digits, factor in ((1e11, 1_000_000), (1e14, 1_000)):
            if value < digits:
                return int(value * factor)
        return int(value)
    with contextlib.suppress(TypeError, ValueError):
        moment = datetime.fromisoformat(value)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)
    return time.time_ns() // 1000
