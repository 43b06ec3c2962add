"""Read from a damaged data file of the lake what still verifies, row by row.

Parquet keeps columns and groups of rows apart, each page with a checksum. So damage costs the pages
it is in; raw bytes that are in them are read again from the transcript, if that still has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annals.records import RecordKind
from annals.records.columns import DEFAULTS
from annals.records.verification import has_id, read_range
from extractors.entries import SCHEMA

_RAW = ("raw", "raw_binary")


def salvage_rows(path: Path | pa.NativeFile) -> list[dict[str, Any]]:
    """Return the rows of a data file that match their ids; none if it has no readable footer."""
    found: list[dict[str, Any]] = []
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups = file.num_row_groups
    except Exception:  # noqa: BLE001 -- a library raises anything at damaged input
        return found
    with file:
        for number in range(groups):
            found += [row for row in map(_mended, _group(file, number)) if row is not None]
    return found


def rows_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Return salvaged rows as a table in the lake's schema."""
    known = [{**row, **_defaults(row)} for row in rows]
    return pa.Table.from_pylist(known, schema=SCHEMA)


def _defaults(row: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the columns that an older program's data file lacks."""
    return {name: default for name, default in DEFAULTS.items() if row.get(name) is None}


def _group(file: pq.ParquetFile, number: int) -> list[dict[str, Any]]:
    """Read one group of rows; without its raw bytes if these cannot be read."""
    for columns in (SCHEMA.names, [name for name in SCHEMA.names if name not in _RAW]):
        try:
            rows: list[dict[str, Any]] = file.read_row_group(number, columns=columns).to_pylist()
        except Exception:  # noqa: BLE001, S112 -- a library raises anything at damaged input
            continue
        return rows
    return []


def _mended(row: dict[str, Any]) -> dict[str, Any] | None:
    text, binary = row.get("raw"), row.get("raw_binary")
    raw = binary if text is None else text.encode()
    if raw is not None and _matches(row, raw):
        return row
    if row["record_kind"] == RecordKind.FILE:
        return None
    place = (row["file_path"] or "", row["file_key"] or "")
    offset, length = row["byte_offset"] or 0, row["byte_length"] or 0
    raw = read_range(*place, offset=offset, length=length)
    if raw is None or not _matches(row, raw):
        return None
    try:
        return {**row, "raw": raw.decode("utf-8"), "raw_binary": None}
    except UnicodeDecodeError:
        return {**row, "raw": None, "raw_binary": raw}


def _matches(row: dict[str, Any], raw: bytes) -> bool:
    return has_id(row["file_key"] or "", row["byte_offset"] or 0, raw, row["entry_id"])
