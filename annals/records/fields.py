"""The rules for the fields of a record that came from elsewhere: types, ranges, sizes."""

from __future__ import annotations

import re
from typing import Any

from annals.records.record import Record, RecordKind

FIELD_BYTES = 64 * 1024
"""What the text fields of a record may have together beyond the size of its raw bytes.

The promoted fields are copies of a part of these bytes; the paths and names beside them have at
most 4,096 bytes each."""

LATEST_MICROSECONDS = 253_402_300_799_999_999
"""The end of the year 9999: later instants have no date."""

_ENTRY_ID = re.compile("[0-9a-f]{32}")
_KINDS = frozenset(RecordKind)
_NAMES = ("project_id", "file_path", "file_key", "host")
_TEXTS = (
    "session_id",
    "type",
    "uuid",
    "parent_uuid",
    "timestamp",
    "request_id",
    "version",
    "cwd",
    "git_branch",
    "reason",
)
_NUMBERS = {
    "file_generation": 2**31 - 1,
    "byte_offset": 2**63 - 1,
    "byte_length": 2**63 - 1,
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
    if record.is_sidechain is not None and not isinstance(record.is_sidechain, bool):
        raise ValueError("its is_sidechain is neither true nor false")


def is_entry_id(value: Any) -> bool:
    """Return whether ``value`` is an entry id in its printed form."""
    return isinstance(value, str) and _ENTRY_ID.fullmatch(value) is not None


def is_count(value: Any, *, least: int = 0, most: int = 2**63 - 1) -> bool:
    """Return whether ``value`` is a whole number in this range; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_instant(value: Any) -> bool:
    """Return whether ``value`` is an instant in microseconds; a clock may be wrong both ways."""
    return is_count(value, least=-LATEST_MICROSECONDS, most=LATEST_MICROSECONDS)


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
