"""Records as Arrow columns, in exactly the lake's schema."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from annals.records import Record
from annals.records.columns import LAKE_COLUMNS

_TIME = pa.timestamp("us", tz="UTC")
_ARROW_TYPES = {
    "large_string": pa.large_string(),
    "large_binary": pa.large_binary(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "timestamp[us, tz=UTC]": _TIME,
}
_TYPES = {column.name: _ARROW_TYPES[column.type.arrow] for column in LAKE_COLUMNS}
REQUIRED = frozenset(column.name for column in LAKE_COLUMNS if column.is_required)

SCHEMA = pa.schema(
    pa.field(
        column.name,
        _TYPES[column.name],
        nullable=not column.is_required,
        metadata={"PARQUET:field_id": str(column.field_id)},
    )
    for column in LAKE_COLUMNS
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
