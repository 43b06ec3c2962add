"""Verify records where they cross from one store to the next: the entry id is a hash of the bytes.

A record that does not verify is restored from its transcript if the bytes there do; otherwise it
is kept as a quarantined range, with the bytes as they arrived and the id they should have had.
Standard library only: the sync agent verifies too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from annals.records.columns import COLUMNS, FLAG, NAME, Record, RecordKind
from annals.records.identity import entry_id, original_name
from annals.records.opening import open_known, recorded_names

ID_MISMATCH = "id_mismatch"
"""Why a record that does not hash to its id is quarantined; its id follows after a space."""

LONGEST_COPY_BYTES = 64 * 1024 * 1024
"""No longer range is read from a transcript; longer lines are quarantined in pieces anyway."""

_NAMED = 20
_KINDS = frozenset(RecordKind)
_INTEGERS = frozenset(c.name for c in COLUMNS if c.type.values in ("count", "instant"))
_FLAGS = frozenset(column.name for column in COLUMNS if column.type is FLAG)
_NEVER_NULL = {column.name: column.default or "" for column in COLUMNS if column.type is NAME}

Held = Callable[[int], Record | None]


def has_id(key: str, byte_offset: int, raw: bytes, wanted: str) -> bool:
    """Return whether ``raw`` at that offset of that file has the id ``wanted`` (hex).

    A key that is not UTF-8 in the file system is kept escaped, which its text alone does not show.
    """
    if entry_id(_key(key), byte_offset, raw).hex() == wanted:
        return True
    is_escaped = "\\x" in key and key.isascii()
    return is_escaped and entry_id(original_name(key), byte_offset, raw).hex() == wanted


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return os.fsencode(key)


def is_verified(record: Record) -> bool:
    """Return whether the record hashes to its id; fields of a wrong type never do."""
    try:
        verified = has_id(record.file_key, record.byte_offset, record.raw, record.entry_id)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False
    return verified and record.record_kind in _KINDS


@dataclass(slots=True)
class Verification:
    """The counters of one crossing.

    ``places`` names the first records that could not be restored, for people.
    """

    bytes_verified: int = 0
    records_restored: int = 0
    records_quarantined: int = 0
    places: list[str] = field(default_factory=list)

    def batches(
        self, batches: Iterator[list[Record]], *, held: Held | None = None
    ) -> Iterator[list[Record]]:
        """Yield the batches with every record verified, restored or quarantined."""
        for batch in batches:
            yield self.records(batch, held=held)

    def records(self, records: Sequence[Record], *, held: Held | None = None) -> list[Record]:
        """Return the records, each verified, restored or quarantined, under the same seqs.

        ``held`` returns the record that another store has under a seq.
        """
        found = [record if is_verified(record) else self._mend(record, held) for record in records]
        self.bytes_verified += sum(len(record.raw) for record in found)
        return found

    def _mend(self, record: Record, held: Held | None) -> Record:
        copy = held(record.seq) if held is not None else None
        if copy is not None and copy.entry_id == record.entry_id and is_verified(copy):
            self.records_restored += 1
            return copy
        record = _with_plain_types(record)
        if restored := restore_record(record):
            self.records_restored += 1
            return restored
        self.records_quarantined += 1
        if len(self.places) < _NAMED:
            self.places.append(f"{record.file_path} at {record.byte_offset} ({record.entry_id})")
        return quarantine_record(record)

    def warnings(self, store: str) -> tuple[str, ...]:
        """Return what people should know of this crossing; ``store`` is where the records were."""
        found = []
        if self.records_restored:
            found.append(
                f"{self.records_restored} damaged records of {store} were restored from their"
                " transcripts, or from the buffer"
            )
        if self.records_quarantined:
            found.append(
                f"{self.records_quarantined} records of {store} do not match their ids and were"
                f" quarantined: {', '.join(self.places)}; `annals repair` looks for whole copies"
            )
        return tuple(found)


def restore_record(record: Record) -> Record | None:
    """Return the record as its transcript has it, or None if the bytes there are others.

    The id decides which bytes are right. If the bytes agree with the transcript, the id is what
    was damaged.
    """
    if record.record_kind == RecordKind.FILE:
        return None
    place = (record.file_path, record.file_key)
    raw = read_range(*place, offset=record.byte_offset, length=record.byte_length)
    if not raw:
        return None
    kind = record.record_kind if record.record_kind in _KINDS else RecordKind.ENTRY.value
    if has_id(record.file_key, record.byte_offset, raw, record.entry_id):
        return record._replace(raw=raw, record_kind=kind, byte_length=len(raw))
    if raw == record.raw:
        computed = entry_id(_key(record.file_key), record.byte_offset, raw).hex()
        return record._replace(entry_id=computed, record_kind=kind)
    return None


def quarantine_record(record: Record, reason: str = ID_MISMATCH) -> Record:
    """Return the record as a quarantined range under the id that its bytes have."""
    return record._replace(
        entry_id=entry_id(_key(record.file_key), record.byte_offset, record.raw).hex(),
        record_kind=RecordKind.QUARANTINE.value,
        reason=f"{reason} {record.entry_id}",
    )


def read_range(path: str, key: str, *, offset: int, length: int) -> bytes | None:
    """Return bytes of a transcript, or None if it does not have them.

    ``path`` and ``key`` are text as records hold it. Only a regular file is read, and no link below
    its project folder is followed: what a record says of its place is not trusted.
    """
    if offset < 0 or not 0 < length <= LONGEST_COPY_BYTES or "\0" in path:
        return None
    with contextlib.suppress(OSError):
        descriptor = open_known(*recorded_names(path, key))
        try:
            raw = os.pread(descriptor, length, offset)
            return raw if len(raw) == length else None
        finally:
            os.close(descriptor)
    return None


def _with_plain_types(record: Record) -> Record:
    """Return the record with values that every store can hold, whatever damage made of them."""
    plain = {name: _plain(name, value) for name, value in record._asdict().items()}
    return Record(**plain)


def _plain(name: str, value: Any) -> Any:
    if name == "raw":
        return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    if name == "seq":
        return value
    if name in _INTEGERS:
        return value if type(value) is int and 0 <= value < 2**31 else _bounded(name, value)
    if name in _FLAGS:
        return bool(value) if isinstance(value, int) else None
    if value is None:
        return _NEVER_NULL.get(name)
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")


def _bounded(name: str, value: Any) -> int:
    limit = 2**31 if name == "file_generation" else 2**62
    return value if type(value) is int and 0 <= value < limit else 0
