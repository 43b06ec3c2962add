"""Records as Arrow columns, in exactly the lake's schema."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from annals.records import Record

_TIME = pa.timestamp("us", tz="UTC")
_TYPES = {
    "entry_id": pa.large_string(),
    "record_kind": pa.large_string(),
    "agent_id": pa.large_string(),
    "seq": pa.int64(),
    "project_id": pa.large_string(),
    "session_id": pa.large_string(),
    "file_path": pa.large_string(),
    "file_key": pa.large_string(),
    "file_generation": pa.int32(),
    "byte_offset": pa.int64(),
    "byte_length": pa.int64(),
    "type": pa.large_string(),
    "uuid": pa.large_string(),
    "parent_uuid": pa.large_string(),
    "timestamp": _TIME,
    "request_id": pa.large_string(),
    "version": pa.large_string(),
    "cwd": pa.large_string(),
    "git_branch": pa.large_string(),
    "is_sidechain": pa.bool_(),
    "host": pa.large_string(),
    "ingested_at": _TIME,
    "reason": pa.large_string(),
    "raw": pa.large_string(),
    "raw_binary": pa.large_binary(),
}
REQUIRED = frozenset({"entry_id", "record_kind", "agent_id", "seq"})

SCHEMA = pa.schema(
    pa.field(
        name,
        type_,
        nullable=name not in REQUIRED,
        metadata={"PARQUET:field_id": str(field_id)},
    )
    for field_id, (name, type_) in enumerate(_TYPES.items(), start=1)
)
"""The lake's columns in order. The field ids are those that a new Iceberg table gives them."""

COMPUTED = frozenset({"agent_id", "timestamp", "raw", "raw_binary"})
MICROSECONDS_PER_DAY = 24 * 60 * 60 * 1_000_000


def to_arrow(records: Sequence[Record], *, agent_id: str) -> pa.Table:
    """Return ``records`` of one agent as a table in the lake's schema, by (session_id, seq).

    The rows are ordered before the columns are built, so that the raw bytes are copied once.
    """
    ordered = sorted(records, key=_session_and_seq)
    values = dict(zip(Record._fields, zip(*ordered, strict=True), strict=True))
    text, binary = _raw_columns(values["raw"])
    computed = {
        "agent_id": pa.repeat(pa.scalar(agent_id, pa.large_string()), len(ordered)),
        "timestamp": pa.array(map(parse_timestamp, values["timestamp"]), _TIME),
        "raw": text,
        "raw_binary": binary,
    }
    return pa.Table.from_arrays(
        [
            computed[name] if name in COMPUTED else pa.array(values[name], type_)
            for name, type_ in _TYPES.items()
        ],
        schema=SCHEMA,
    )


def ingestion_day(record: Record) -> int:
    """Return the day of ingestion, in days since the epoch: the lake's partition."""
    return record.ingested_at // MICROSECONDS_PER_DAY


def parse_timestamp(text: str | None) -> datetime | None:
    """Return the instant that an ISO 8601 text names, UTC where it names no zone, else None.

    Digits below microseconds are cut off.
    """
    # Python's parser stops at a NUL and would take what stands before it.
    if text is None or "\0" in text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _session_and_seq(record: Record) -> tuple[str, int]:
    return record.session_id or "", record.seq


def _raw_columns(raws: Sequence[bytes]) -> tuple[pa.Array, pa.Array]:
    """Return the columns raw (strict UTF-8) and raw_binary (everything else)."""
    binary = _binary_column(raws)
    try:
        return binary.cast(pa.large_string()), pa.nulls(len(raws), pa.large_binary())
    except pa.ArrowInvalid:
        is_text = pa.array(map(_is_utf8, raws), pa.bool_())
    nothing = pa.scalar(None, pa.large_binary())
    text = pc.if_else(is_text, binary, nothing)
    return text.cast(pa.large_string()), pc.if_else(is_text, nothing, binary)


def _binary_column(raws: Sequence[bytes]) -> pa.Array:
    """Return the values as one column; joined at once, where a builder would grow step by step."""
    offsets = array("q", accumulate(map(len, raws), initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(raws))]
    return pa.Array.from_buffers(pa.large_binary(), len(raws), buffers)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
