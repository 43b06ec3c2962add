"""The record: what travels from the buffer to the lake, under one sequence number."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class RecordKind(StrEnum):
    """The three kinds of record."""

    ENTRY = "entry"
    QUARANTINE = "quarantine"
    FILE = "file"


class Record(NamedTuple):
    """One record with its envelope and its exact bytes.

    A tuple, so that a batch turns into columns with one ``zip``. ``seq`` is the record's number
    in its agent's buffer. ``byte_offset`` and ``byte_length`` are in bytes of the source file.
    ``timestamp`` is the transcript's own string, ``ingested_at`` microseconds since the epoch.
    ``file_path`` and ``file_key`` are text made by :func:`annals.records.identity.readable`
    where the name is no UTF-8. ``reason`` says why a quarantined range is no entry. ``raw`` are the
    exact bytes: of the entry, of the quarantined range, or the JSON text of a file record.
    """

    seq: int
    entry_id: str
    record_kind: str
    project_id: str
    session_id: str | None
    file_path: str
    file_key: str
    file_generation: int
    byte_offset: int
    byte_length: int
    type: str | None
    uuid: str | None
    parent_uuid: str | None
    timestamp: str | None
    request_id: str | None
    version: str | None
    cwd: str | None
    git_branch: str | None
    is_sidechain: bool | None
    host: str
    ingested_at: int
    reason: str | None
    raw: bytes
