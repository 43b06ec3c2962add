"""What the buffer knows of a file: where it stands, and how far it is read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sync_agent.buffer.fingerprints import Fingerprint


class FileState(StrEnum):
    """The state of a file, as stored."""

    ACTIVE = "active"
    VANISHED = "vanished"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a file stands: names as text for every store, and the bytes they are made of."""

    location_id: int
    host: str
    root: bytes
    project_id: str
    file_path: str
    file_key: str
    key_bytes: bytes
    path_bytes: bytes


class FileRow(NamedTuple):
    """What is known of one file, and how far it is read: a row of the table, in its order.

    ``size`` and ``mtime_ns`` are None while a file is only read in part; ``content_sum`` is the
    sum of the ids of all its ranges (:func:`sync_agent.buffer.fingerprints.add_ids`).
    """

    file_id: int
    location_id: int
    device: int
    inode: int
    generation: int
    size: int | None
    mtime_ns: int | None
    offset: int
    head_hash: bytes
    head_length: int
    tail_hash: bytes
    state: str
    entries: int
    quarantined: int
    entry_bytes: int
    quarantined_bytes: int
    separator_bytes: int
    content_sum: bytes

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of what was read."""
        return Fingerprint(self.head_hash, self.head_length, self.tail_hash)


class Known(NamedTuple):
    """As much of a file's row as tells whether the file must be looked at."""

    path: bytes
    size: int | None
    mtime_ns: int | None
    inode: int
    device: int
    state: str
    file_id: int
    location_id: int
    host: str
    key: bytes
    offset: int

    @classmethod
    def of(cls, row: FileRow, location: Location) -> Known:
        """Return what is known of the file ``row`` that stands at ``location``."""
        return cls(
            location.path_bytes,
            row.size,
            row.mtime_ns,
            row.inode,
            row.device,
            row.state,
            row.file_id,
            row.location_id,
            location.host,
            location.key_bytes,
            row.offset,
        )
