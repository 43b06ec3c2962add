"""Records as rows of the buffer, in the order of RECORD_COLUMNS."""

from __future__ import annotations

import json
import time
from typing import Any

from annals.records.columns import ADDED, RecordKind
from annals.records.envelope import Envelope
from annals.records.identity import entry_id, owning_session
from sync_agent.buffer.rows import FileRow, Location
from sync_agent.buffer.store import RecordRow
from sync_agent.reading.file_changes import Event
from sync_agent.reading.ranges import Range

_COMPACT = json.JSONEncoder(separators=(",", ":"))

NO_ENVELOPE: tuple[Any, ...] = (None,) * 9

NO_ADDITIONS: tuple[Any, ...] = (None,) * len(ADDED)
"""The columns between ``ingested_at`` and ``raw``: null reads as each one's default."""

Promoted = tuple[str | bool | None, ...]
"""The columns session_id to is_sidechain."""


def promoted_fields(envelope: Envelope, session: str) -> Promoted:
    """Return the columns session_id to is_sidechain of an entry."""
    return (
        envelope.session_id or session,
        envelope.type,
        envelope.uuid,
        envelope.parent_uuid,
        envelope.timestamp,
        envelope.request_id,
        envelope.version,
        envelope.cwd,
        envelope.git_branch,
        envelope.is_sidechain,
    )


def range_record(
    found: Range,
    location: Location,
    *,
    generation: int,
    session: str | None = None,
    read_at: int | None = None,
) -> RecordRow:
    """Return the row of an entry or of a quarantined range.

    ``session`` is what it belongs to where neither it nor the name of its file says so;
    ``read_at`` is when it was read, in microseconds, if that was not now.
    """
    session = session or owning_session(location.file_key)
    kind, fields = RecordKind.QUARANTINE.value, (session, *NO_ENVELOPE)
    if found.envelope is not None:
        kind, fields = RecordKind.ENTRY.value, promoted_fields(found.envelope, session)
    return (
        entry_id(location.key_bytes, found.offset, found.raw),
        kind,
        location.location_id,
        generation,
        found.offset,
        len(found.raw),
        *fields,
        found.reason,
        time.time_ns() // 1000 if read_at is None else read_at,
        *NO_ADDITIONS,
        found.raw,
    )


def file_record(event: Event, row: FileRow, location: Location) -> RecordRow:
    """Return the row of the file record that reports ``event``."""
    size = row.offset if row.size is None else row.size
    told = {
        "event": event,
        "generation": row.generation,
        "size": size,
        "mtime_ns": row.mtime_ns,
        "offset": row.offset,
        "entries": row.entries,
        "entry_bytes": row.entry_bytes,
        "quarantined_bytes": row.quarantined_bytes,
        "separator_bytes": row.separator_bytes,
        "head_hash": row.head_hash.hex(),
    }
    raw = _COMPACT.encode(told).encode()
    return (
        entry_id(location.key_bytes, size, raw),
        RecordKind.FILE.value,
        location.location_id,
        row.generation,
        size,
        len(raw),
        owning_session(location.file_key),
        event.value,
        *NO_ENVELOPE[1:],
        None,
        time.time_ns() // 1000,
        *NO_ADDITIONS,
        raw,
    )
