"""What arrives and is not a record: kept as bytes at its position, so that the rest goes on.

A refused record is of kind ``quarantine``. It has a place of its own (``refused:...``) and not the
one that it claims: that range of a transcript is still to come, and what says so must not be
hidden by bytes that nobody could verify. Its id is the hash of its bytes at that place, as of any
other record, so that refusing it again changes nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import Any

from annals.records import Record, RecordKind, entry_id
from annals.records.columns import NOTHING
from annals.records.envelope import check_object
from annals.records.fields import is_instant

REFUSED = "refused:"
_NAME_LENGTH = 128


def refused_record(
    raw: bytes, *, seq: int, store: str, name: str, reason: str, ingested_at: Any = None
) -> Record:
    """Return the quarantined form of ``raw``, which arrived from ``store`` under ``seq``.

    ``name`` is what the store calls it. ``ingested_at`` is kept if it is a possible instant in
    microseconds; otherwise the record gets the present one.
    """
    place = f"{REFUSED}{store}/{_short(name)}"
    known = {
        "seq": seq,
        "entry_id": entry_id(os.fsencode(place), 0, raw).hex(),
        "record_kind": RecordKind.QUARANTINE.value,
        "project_id": "",
        "file_path": place,
        "file_key": place,
        "host": "",
        "file_generation": 0,
        "byte_offset": 0,
        "byte_length": len(raw),
        "reason": reason,
        "ingested_at": ingested_at if is_instant(ingested_at) else time.time_ns() // 1000,
        "raw": raw,
    }
    return Record(**{**NOTHING, **known})


def readable_record(record: Record) -> Record:
    """Return ``record`` as it is, or quarantined if its bytes are not of the kind that it says.

    The SQL behind the lake fails as a whole for one value that is not JSON. An entry that calls
    itself a ``file`` record would be in no report; the kind is not a part of the id.
    """
    if record.record_kind == RecordKind.FILE and not _is_file_record(record.raw):
        return record._replace(
            record_kind=RecordKind.QUARANTINE.value, reason=f"{REFUSED} it is not a file record"
        )
    if record.record_kind != RecordKind.ENTRY:
        return record
    try:
        check_object(record.raw)
    except (ValueError, RecursionError) as error:
        return record._replace(
            record_kind=RecordKind.QUARANTINE.value,
            reason=f"{REFUSED} it is not a JSON object ({type(error).__name__})",
        )
    return record


def _is_file_record(raw: bytes) -> bool:
    try:
        noted = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(noted, dict) and {"event", "generation", "offset"} <= noted.keys()


def refusals(records: Iterable[Record]) -> list[str]:
    """Return a sentence for each record that was refused on its way."""
    return [
        f"{_short(record.file_path.removeprefix(REFUSED))}, seq {record.seq}: {record.reason}"
        for record in records
        if record.record_kind == RecordKind.QUARANTINE and is_refused(record)
    ]


def is_refused(record: Record) -> bool:
    """Return whether a quarantined record was refused on its way, not by the reader."""
    return record.file_path.startswith(REFUSED) or (record.reason or "").startswith(REFUSED)


def _short(name: str) -> str:
    """Return a name without what paths and terminals cannot hold, and not of any length."""
    plain = "".join(char if char.isprintable() else "?" for char in name[: _NAME_LENGTH + 1])
    return plain if len(plain) <= _NAME_LENGTH else f"{plain[:_NAME_LENGTH]}..."
