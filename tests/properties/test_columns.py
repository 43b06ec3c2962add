"""One table of columns: what each store and the staging model call them is what it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import yaml
from hypothesis import given
from hypothesis import strategies as st

from annals.buffer.schema import RECORD_COLUMNS, record_columns, table_columns
from annals.records import Record, RecordKind
from annals.records.columns import (
    ADDED,
    COLUMNS,
    FIRST_COLUMNS,
    LAKE_COLUMNS,
    NOTHING,
    Column,
    Encoding,
)
from annals.records.document import encode_raw, to_document, to_record
from annals.records.fields import LATEST_MICROSECONDS
from extractors.entries import SCHEMA, parse_timestamp, to_arrow
from extractors.files import DICTIONARY_COLUMNS, RISING_COLUMNS, UNIQUE_COLUMNS
from extractors.refused import refused_record
from loaders import entries
from sync_agent.buffer.tables import create
from tests.conftest import ROOT

STAGING = ROOT / "dbt" / "models" / "staging" / "claude_code"
IDS = {
    "entry_id": 1, "record_kind": 2, "agent_id": 3, "seq": 4, "project_id": 5, "session_id": 6,
    "file_path": 7, "file_key": 8, "file_generation": 9, "byte_offset": 10, "byte_length": 11,
    "type": 12, "uuid": 13, "parent_uuid": 14, "timestamp": 15, "request_id": 16, "version": 17,
    "cwd": 18, "git_branch": 19, "is_sidechain": 20, "host": 21, "ingested_at": 22, "reason": 23,
    "raw": 24, "raw_binary": 25, "agent_kind": 26, "stored_hash": 27, "redaction": 28,
}  # fmt: skip
"""What the lakes of all versions have; a new column is added to the end and never moved."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = {
    "entry_id": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "kind": st.sampled_from(RecordKind).map(str),
    "name": TEXTS,
    "text": st.none() | TEXTS,
    "count": st.integers(0, 2**31 - 1),
    "instant": st.integers(0, LATEST_MICROSECONDS),
    "flag": st.none() | st.booleans(),
    "bytes": st.binary(max_size=50),
}
RECORDS = st.builds(Record, **{column.name: VALUES[column.type.values] for column in COLUMNS})


def documented() -> dict[str, str]:
    """Return the columns that the staging model documents."""
    text = (STAGING / "stg_claude_code__entries.yml").read_text(encoding="utf-8")
    (model,) = yaml.safe_load(text)["models"]
    return {column["name"]: column["description"] for column in model["columns"]}


def in_staging(column: Column) -> str:
    """Return what the staging model calls a column; empty if it has none of it."""
    return column.name if column.staging is None else column.staging


def test_the_staging_model_documents_the_columns() -> None:
    """RC-01 Names and descriptions of the staging model's YAML are those of the one table."""
    wanted = {in_staging(column): column.doc for column in LAKE_COLUMNS if in_staging(column)}
    found = documented()
    assert {name: found.get(name) for name in wanted} == wanted
    assert not {column.name for column in LAKE_COLUMNS if not in_staging(column)} & found.keys()


def test_the_staging_model_reads_the_columns() -> None:
    """RC-01 The SQL of the staging model names each column of the lake that its YAML has."""
    sql = (STAGING / "stg_claude_code__entries.sql").read_text(encoding="utf-8")
    for column in LAKE_COLUMNS:
        if name := in_staging(column):
            assert f"singled.{column.name}" in sql, column.name
            assert name in sql.partition("final as")[2], name


def test_the_buffer_has_the_columns() -> None:
    """RC-01 The tables of a new buffer have each column once, and ``raw`` is the last of a row."""
    own = {column.name for column in COLUMNS if not column.in_location}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create(connection)
        assert table_columns(connection, "records") == own | {"location_id"}
        assert table_columns(connection, "dead_letters") > own | {"location_id"}
        assert table_columns(connection, "locations") > {c.name for c in COLUMNS if c.in_location}
    assert RECORD_COLUMNS.split(", ")[-1] == "raw"
    assert record_columns(own | {"location_id"}) == RECORD_COLUMNS


def test_field_ids_are_stable() -> None:
    """RC-02 A column keeps its place and Iceberg field id indefinitely; new ones come last."""
    assert {column.name: column.field_id for column in LAKE_COLUMNS} == IDS
    assert SCHEMA.names == list(IDS) == list(entries.COLUMNS)
    ids = [int((field.metadata or {})[b"PARQUET:field_id"]) for field in SCHEMA]
    assert ids == list(range(1, len(IDS) + 1))


def test_added_columns_may_be_missing() -> None:
    """RC-03 What older programs do not write is required nowhere, and follows the old columns."""
    assert [column.field_id for column in ADDED] == list(range(FIRST_COLUMNS + 1, len(IDS) + 1))
    assert not any(column.is_required for column in ADDED)
    assert all(SCHEMA.field(column.name).nullable for column in ADDED)


def test_types_are_known_to_every_store() -> None:
    """RC-01 DuckDB reads from a column of Arrow's type what its own type holds."""
    with closing(duckdb.connect()) as connection:
        relation = SCHEMA.empty_table()
        connection.register("lake", relation)
        described = connection.execute("describe lake").fetchall()
        for (name, found, *_), (wanted_name, wanted) in zip(
            described, entries.COLUMNS.items(), strict=True
        ):
            (same,) = connection.execute(f"select typeof(null::{wanted})").fetchall()[0]
            assert (name, found) == (wanted_name, same)


def test_each_column_has_one_encoding() -> None:
    """RC-01 Each column of a data file is laid out as the table says."""
    plain = {column.name for column in LAKE_COLUMNS if column.encoding is Encoding.PLAIN}
    groups = (DICTIONARY_COLUMNS, RISING_COLUMNS, UNIQUE_COLUMNS, plain)
    assert sorted(name for group in groups for name in group) == sorted(SCHEMA.names)


def test_a_refused_record_has_all_fields() -> None:
    """RC-01 What was refused on its way is a record of Claude Code without an envelope."""
    record = refused_record(b"x", seq=3, store="s", name="n", reason="because")
    known = {"seq", "entry_id", "record_kind", "file_path", "file_key", "byte_length", "raw"}
    known |= {"project_id", "host", "file_generation", "byte_offset", "reason", "ingested_at"}
    rest = {name: value for name, value in record._asdict().items() if name not in known}
    assert rest == {name: NOTHING[name] for name in rest}
    assert record.agent_kind == "claude_code"


@given(RECORDS)
def test_records_travel_through_documents(record: Record) -> None:
    """RC-01 Each field of a record comes back from its document, under the names of the table."""
    document = to_document(record, encode_raw(record.raw), agent_id="a")
    others = {"agentId", "ingestedAt", "rawEncoding"}
    assert document.keys() - others == {column.mongo for column in COLUMNS}
    assert to_record(document, record.raw, seq=record.seq) == record


@given(RECORDS)
def test_documents_of_older_programs_read_as_defaults(record: Record) -> None:
    """RC-04 A document without the added fields is that of a Claude Code transcript, unredacted."""
    document = to_document(record, encode_raw(record.raw), agent_id="a")
    for column in ADDED:
        del document[column.mongo]
    read = to_record(document, record.raw, seq=record.seq)
    assert read == record._replace(agent_kind="claude_code", stored_hash=None, redaction=None)


@given(RECORDS)
def test_records_travel_into_the_lake(record: Record) -> None:
    """RC-01 Each field of a record is in the lake's column of its name."""
    (row,) = to_arrow([record], agent_id="a").to_pylist()
    expected: dict[str, Any] = {**record._asdict(), "agent_id": "a", "raw_binary": None}
    expected["timestamp"] = parse_timestamp(record.timestamp)
    expected["ingested_at"] = _instant(record.ingested_at)
    text = row["raw"] is not None
    expected["raw"] = record.raw.decode() if text else None
    expected["raw_binary"] = None if text else record.raw
    assert row == expected


def _instant(microseconds: int) -> datetime:
    (found,) = pa.array([microseconds], pa.timestamp("us", tz="UTC")).to_pylist()
    assert isinstance(found, datetime)
    return found.astimezone(UTC)
