from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.records import Record
from extractors.entries import REQUIRED, SCHEMA, ingestion_day, parse_timestamp, to_arrow

DAY = 86_400_000_000


def record(seq: int = 1, **fields: object) -> Record:
    """Return a record with unimportant values."""
    values: dict[str, object] = {
        "seq": seq,
        "entry_id": f"{seq:032x}",
        "record_kind": "entry",
        "project_id": "p",
        "session_id": "s",
        "file_path": "/f",
        "file_key": "f",
        "file_generation": 0,
        "byte_offset": 0,
        "byte_length": 2,
        "ingested_at": DAY,
        "host": "h",
        "raw": b"{}",
    }
    return Record(**{**dict.fromkeys(Record._fields), **values, **fields})  # type: ignore[arg-type]


def test_columns_are_the_lakes() -> None:
    """A table has the lake's columns, types and required fields."""
    table = to_arrow([record()], agent_id="a")
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert {field.name for field in SCHEMA if not field.nullable} == REQUIRED
    assert table.column("agent_id").to_pylist() == ["a"]


def test_rows_are_ordered_by_session_then_seq() -> None:
    """Rows of one session stand together, in the order of their seqs, whatever came in."""
    given_order = [record(4, session_id="b"), record(3, session_id="a"), record(1, session_id="b")]
    table = to_arrow([*given_order, record(2, session_id=None)], agent_id="a")
    pairs = zip(table["session_id"].to_pylist(), table["seq"].to_pylist(), strict=True)
    assert list(pairs) == [(None, 2), ("a", 3), ("b", 1), ("b", 4)]


def test_bytes_that_are_no_text_go_to_raw_binary() -> None:
    """Exactly one of raw and raw_binary holds the exact bytes."""
    raws = [b'{"a":1}', b"\xff\xfe", b"", "\u00e9\0".encode(), b"\xed\xa0\x80"]
    table = to_arrow([record(seq, raw=raw) for seq, raw in enumerate(raws, 1)], agent_id="a")
    assert table["raw"].to_pylist() == ['{"a":1}', None, "", "\u00e9\0", None]
    assert table["raw_binary"].to_pylist() == [None, b"\xff\xfe", None, None, b"\xed\xa0\x80"]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_no_byte_is_changed(raws: list[bytes]) -> None:
    """Whatever the bytes are, they come out as they went in."""
    table = to_arrow([record(seq, raw=raw) for seq, raw in enumerate(raws, 1)], agent_id="a")
    texts, binaries = table["raw"].to_pylist(), table["raw_binary"].to_pylist()
    found = [
        binary if text is None else text.encode()
        for text, binary in zip(texts, binaries, strict=True)
    ]
    assert found == raws


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-01T12:00:00.123Z", datetime(2025, 6, 1, 12, 0, 0, 123000, UTC)),
        ("2025-06-01T14:00:00+02:00", datetime(2025, 6, 1, 12, 0, 0, 0, UTC)),
        ("2025-06-01 12:00:00", datetime(2025, 6, 1, 12, 0, 0, 0, UTC)),
        ("2025-06-01T12:00:00.123456789Z", datetime(2025, 6, 1, 12, 0, 0, 123456, UTC)),
        ("2025-06-01", datetime(2025, 6, 1, 0, 0, 0, 0, UTC)),
        ("yesterday", None),
        ("", None),
        ("2025-13-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2025-06-01T12:00:00\u0000Z", None),
        (None, None),
    ],
)
def test_timestamps(text: str | None, expected: datetime | None) -> None:
    """An ISO 8601 time becomes an instant in UTC, anything else becomes null."""
    assert parse_timestamp(text) == expected
    stored = to_arrow([record(timestamp=text)], agent_id="a")["timestamp"].to_pylist()
    assert stored == [expected]


@given(st.text(max_size=30))
def test_no_timestamp_raises(text: str) -> None:
    """Any text at all is a time or null."""
    found = parse_timestamp(text)
    assert found is None or found.tzinfo is UTC
    to_arrow([record(timestamp=text)], agent_id="a")


@pytest.mark.parametrize(("moment", "day"), [(0, 0), (DAY - 1, 0), (DAY, 1), (-1, -1)])
def test_days_begin_at_midnight_utc(moment: int, day: int) -> None:
    """The partition is the UTC day of ingestion, also before 1970."""
    assert ingestion_day(record(ingested_at=moment)) == day


def test_unset_fields_are_null() -> None:
    """Fields that a record does not have are null, and the column keeps its type."""
    table = to_arrow([record()], agent_id="a")
    assert table["uuid"].to_pylist() == [None]
    assert table.schema.field("is_sidechain").type == pa.bool_()
