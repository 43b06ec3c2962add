"""Documents as they arrive from a server, before anybody believes what is in them.

A document that cannot be a record still has a position: that of the last one before it. So a cursor
passes it, and never passes one that was not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import groupby
from typing import Any, NamedTuple

from annals.records import Record
from annals.records.document import decode_raw, to_record
from annals.records.fields import is_count, is_entry_id
from extractors.refused import readable_record, refused_record
from extractors.source import BATCH_BYTES, BATCH_RECORDS

LOOKUP_CLAIMS = 500
LOOKUP_BYTES = 16 * 1024 * 1024
"""Claims, and bytes of claims or of what they refer to, that are held at a time."""

Document = Mapping[str, Any]
Decode = Callable[[bytes], Document]


class Arrival(NamedTuple):
    """A document: its bytes, what the server calls it, and its fields, or why it has none."""

    raw: bytes
    name: str
    document: Document
    fault: str | None = None

    @property
    def claimed(self) -> str | None:
        """The entry id that a claim names; None if it names none that an entry can have."""
        entry_id = self.document.get("entryId")
        return entry_id if self.fault is None and is_entry_id(entry_id) else None


class Located(NamedTuple):
    """An arrival under a position."""

    seq: int
    arrival: Arrival


class Resume:
    """Where an answer that was cut off is gone on with: at the last key, without what came."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._last: int | str | None = None
        self._seen: set[str] = set()

    def narrow_query(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return the query for what is still to come."""
        return {"$and": [wanted, {self._key: {"$gte": self._last}}]} if self._seen else wanted

    def is_new(self, arrival: Arrival) -> bool:
        """Return whether this did not come before, and note that it came."""
        if arrival.name in self._seen:
            return False
        value = arrival.document.get(self._key)
        if isinstance(value, int | str) and value != self._last:
            self._last, self._seen = value, set()
        if self._last is not None:
            self._seen.add(arrival.name)
        return True


def decode_document(raw: bytes, decode: Decode, faults: tuple[type[Exception], ...]) -> Arrival:
    """Return the document in ``raw``; ``faults`` is what ``decode`` raises for damaged bytes."""
    try:
        document = decode(raw)
    except faults as error:
        name = f"unreadable-{blake2b(raw, digest_size=8).hexdigest()}"
        return Arrival(raw, name, {}, f"its bytes are not document ({type(error).__name__})")
    return Arrival(raw, str(document.get("_id")), document)


def locate_claims(arrivals: Iterator[Arrival], after: int) -> Iterator[Located]:
    """Give each arrival its position; one without a possible number gets that before it."""
    position = after
    for arrival in arrivals:
        seq = whole_number(arrival.document.get("seq"))
        if seq is None and arrival.fault is None:
            arrival = arrival._replace(fault="its seq is not a whole number")  # noqa: PLW2901
        position = max(position, seq or 0)
        yield Located(position, arrival)


def whole_number(value: Any) -> int | None:
    """Return the number, also if a program in between made a float of it; else None."""
    if isinstance(value, float) and math.isfinite(value) and value == math.floor(value):
        value = int(value)
    return value if is_count(value) else None


def group_lookups(claims: Iterator[Located]) -> Iterator[list[Located]]:
    """Yield the claims in groups that are bounded in number and bytes."""
    group: list[Located] = []
    size = 0
    for claim in claims:
        group.append(claim)
        size += len(claim.arrival.raw)
        if len(group) >= LOOKUP_CLAIMS or size >= LOOKUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


class Judge:
    """Makes records of arrivals; what is none is quarantined with its reason.

    ``fetch`` returns what GridFS has under an id, up to a limit; ``max_bytes`` is the limit of a
    record's raw bytes; ``store`` says in reports where the documents are.
    """

    def __init__(self, fetch: Callable[[str, int], bytes], *, max_bytes: int, store: str) -> None:
        self._fetch = fetch
        self._max_bytes = max_bytes
        self._store = store

    def record(self, found: Located) -> Record:
        """Return the record of one arrival."""
        arrival, document = found.arrival, found.arrival.document
        try:
            raw = decode_raw(document, self._fetch, limit=self._max_bytes)
            record = to_record(document, raw, seq=found.seq)
        except ValueError as error:
            return self._refused(found, arrival.fault or str(error))
        return self._refused(found, arrival.fault) if arrival.fault else readable_record(record)

    def _refused(self, found: Located, reason: str) -> Record:
        return refused_record(
            found.arrival.raw,
            seq=found.seq,
            store=self._store,
            name=found.arrival.name,
            reason=reason,
            ingested_at=found.arrival.document.get("ingestedMicros"),
        )

    def batches(self, arrivals: Iterator[Located]) -> Iterator[list[Record]]:
        """Yield batches in the order of positions; those of one position are never parted."""
        batch: list[Record] = []
        size = 0
        for _, group in groupby(arrivals, key=lambda found: found.seq):
            records, grown = [], 0
            for found in group:
                records.append(self.record(found))
                grown += max(len(found.arrival.raw), len(records[-1].raw))
            if batch and (size + grown > BATCH_BYTES or len(batch) + len(records) > BATCH_RECORDS):
                yield batch
                batch, size = [], 0
            batch += records
            size += grown
        if batch:
            yield batch
