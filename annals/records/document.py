"""The document: a record as MongoDB keeps it, and the claim that puts it under one more position.

Plain values only, so that either side of the server can use it without the driver. ``raw`` is text
where the bytes are strict UTF-8; otherwise, and above 1 MiB, it is binary and ``rawEncoding`` says
how to read it; what is still above 15 MiB compressed lies in GridFS under the name in ``raw``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from annals.records.bounds import bounded, decompress
from annals.records.columns import COLUMNS, Record
from annals.records.fields import check_fields

Raw = TypeVar("Raw", str, bytes)

COMPRESSED_BYTES = 1024 * 1024
"""Raw values above this are kept compressed."""

STORED_APART_BYTES = 15 * 1024 * 1024
"""Raw values above this, compressed, go to GridFS: a document may have 16 MiB, its fields too."""

DOCUMENT_BYTES = 16 * 1024 * 1024 - 16 * 1024
"""A document above this is not sent: one that is too large fails its whole batch.

Its fields come out of its bytes, so only one with more than COMPRESSED_BYTES has to be measured."""

CONVERSATIONS = "conversations"
AGENTS = "agents"
CLAIMS = "claims"
BUCKET = "raw"
"""The names of the collections, and of the GridFS bucket."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- the driver takes it for UTC, in half the time
_NAMES = tuple(column.mongo for column in COLUMNS[1:])
"""The names of a record's fields after ``seq``, in their order: ``_id`` is the first one."""

_READ = tuple((column.name, column.mongo, column.default) for column in COLUMNS[1:-1])
"""Fields that a document has as they are; documents of older programs lack some of them."""


class Encoding(StrEnum):
    """How ``raw`` is to be read where it is not text."""

    BINARY = "binary"
    ZSTD = "zstd"
    GRIDFS = "gridfs"


class Encoded(NamedTuple):
    """A raw value as it is stored; ``apart`` are the bytes that go to GridFS first."""

    value: str | bytes | None
    encoding: Encoding | None
    apart: bytes | None = None


def encode_raw(raw: bytes) -> Encoded:
    """Return the raw bytes of a record as they are stored."""
    if len(raw) > COMPRESSED_BYTES:
        import zstandard  # noqa: PLC0415 -- most records never need it

        packed = zstandard.ZstdCompressor().compress(raw)
        if len(packed) > STORED_APART_BYTES:
            return Encoded(None, Encoding.GRIDFS, packed)
        return Encoded(packed, Encoding.ZSTD)
    try:
        return Encoded(raw.decode("utf-8"), None)
    except UnicodeDecodeError:
        return Encoded(raw, Encoding.BINARY)


def decode_raw(
    document: Mapping[str, Any], fetch: Callable[[str, int], bytes], *, limit: int
) -> bytes:
    """Return the exact bytes, of which there are at most ``limit``.

    ``fetch`` returns the content of a GridFS file by its id, if it has at most so many bytes.
    Raises ValueError if the bytes cannot be restored, or are more.
    """
    value, encoding = document.get("raw"), document.get("rawEncoding")
    if encoding is None:
        return bounded(_of_type(value, str).encode("utf-8"), limit=limit)
    if encoding == Encoding.BINARY:
        return bounded(_of_type(value, bytes), limit=limit)
    if encoding == Encoding.ZSTD:
        return decompress(_of_type(value, bytes), limit=limit)
    if encoding == Encoding.GRIDFS:
        return decompress(fetch(_of_type(value, str), limit), limit=limit)
    raise ValueError("its rawEncoding is not a known one")


def _of_type(value: Any, kind: type[Raw]) -> Raw:
    if not isinstance(value, kind):
        raise ValueError(f"its raw is {type(value).__name__}, not {kind.__name__}")  # noqa: TRY004
    return value


def to_document(record: Record, encoded: Encoded, *, agent_id: str) -> dict[str, Any]:
    """Return the document of a record at its position ``(agent_id, record.seq)``."""
    document: dict[str, Any] = dict(zip(_NAMES, record[1:], strict=True))
    document["seq"] = record.seq
    document["agentId"] = agent_id
    if record.is_sidechain is not None:
        document["isSidechain"] = bool(record.is_sidechain)  # a number where it is out of SQLite
    # A date has milliseconds here; the exact instant is beside it.
    document["ingestedAt"] = _instant(record.ingested_at)
    document["raw"] = encoded.value
    if encoded.encoding is not None:
        document["rawEncoding"] = encoded.encoding.value
    return document


@lru_cache(maxsize=16)
def _instant(microseconds: int) -> datetime:
    """Return the date; what is read together has the same one."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_record(document: Mapping[str, Any], raw: bytes, *, seq: int) -> Record:
    """Return the record of a document, read under the position ``seq``.

    Raises ValueError if a field is missing, of another type, or out of its range: a column of the
    lake takes no other value, and one such document would stop all that are written with it.
    """
    fields: dict[str, Any] = {
        name: default if (value := document.get(key)) is None else value
        for name, key, default in _READ
    }
    record = Record(seq=seq, raw=raw, **fields)
    check_fields(record)
    return record


def claim_id(agent_id: str, seq: int, entry_id: str) -> str:
    """Return the id of the claim of an entry by a position."""
    return f"{agent_id}:{seq}:{entry_id}"


def to_claim(agent_id: str, seq: int, entry_id: str) -> dict[str, Any]:
    """Return the document that puts another position's entry under this one too."""
    return {
        "_id": claim_id(agent_id, seq, entry_id),
        "agentId": agent_id,
        "seq": seq,
        "entryId": entry_id,
    }
