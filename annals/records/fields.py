"""The rules for the fields of a record that came from elsewhere: types, ranges, sizes."""

from __future__ import annotations

import re
from typing import Any

from annals.records.columns import COLUMNS, FLAG, NAME, SMALL_COUNT, Record, RecordKind

FIELD_BYTES = 64 * 1024
"""What the text fields of a record may have together beyond the size of its raw bytes.

The promoted fields are copies of a part of these bytes; the paths and names beside them have at
most 4,096 bytes each."""

LATEST_MICROSECONDS = 253_402_300_799_999_999
"""The end of the year 9999: later instants have no date."""

_ENTRY_ID = re.compile("[0-9a-f]{32}")
_KINDS = frozenset(RecordKind)
_NAMES = tuple(column.name for column in COLUMNS if column.type is NAME)
_TEXTS = tuple(column.name for column in COLUMNS if column.type.values == "text")
_FLAGS = tuple(column.name for column in COLUMNS if column.type is FLAG)
_NUMBERS = {
    column.name: 2**31 - 1 if column.type is SMALL_COUNT else 2**63 - 1
    for column in COLUMNS
    if column.type.values == "count" and column.name != "seq"
}


def check_fields(record: Record) -> None:
    """Raise ValueError, with the field's name, if a field is not what a column can hold."""
    if not is_entry_id(record.entry_id):
        raise ValueError("its entry_id is not 32 hexadecimal digits")
    if not isinstance(record.record_kind, str) or record.record_kind not in _KINDS:
        raise ValueError("its record_kind is not a known one")
    size = sum(_name_size(name, getattr(record, name)) for name in _NAMES)
    size += sum(_text_size(name, getattr(record, name)) for name in _TEXTS)
    if size > len(record.raw) + FIELD_BYTES:
        raise ValueError("its fields are larger than the bytes that they come from")
    for name, most in _NUMBERS.items():
        if not is_count(getattr(record, name), most=most):
            raise ValueError(f"its {name} is not a whole number from 0 to {most}")
    if not is_instant(record.ingested_at):
        raise ValueError("its ingested_at is not an instant")
    for name in _FLAGS:
        _require_flag(name, getattr(record, name))


def is_entry_id(value: Any) -> bool:
    """Return whether ``value`` is an entry id in its printed form."""
    return isinstance(value, str) and _ENTRY_ID.fullmatch(value) is not None


def is_count(value: Any, *, least: int = 0, most: int = 2**63 - 1) -> bool:
    """Return whether ``value`` is a whole number in this range; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_instant(value: Any) -> bool:
    """Return whether ``value`` is an instant in microseconds; a clock may be wrong both ways."""
    return is_count(value, least=-LATEST_MICROSECONDS, most=LATEST_MICROSECONDS)


def _require_flag(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"its {name} is neither true nor false")


def _name_size(name: str, value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"its {name} is not a text")  # noqa: TRY004 -- judged, not misused
    if "\0" in value:
        raise ValueError(f"its {name} holds a NUL")
    return len(value)


def _text_size(name: str, value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, str):
        raise ValueError(f"its {name} is not a text")  # noqa: TRY004 -- judged, not misused
    return len(value)
