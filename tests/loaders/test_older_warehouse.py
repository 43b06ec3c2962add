"""Warehouses and data files of a version with fewer columns: the views give the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.types import StringType

from annals.settings import Settings
from loaders import warehouse
from loaders.entries import COLUMNS
from loaders.load import load
from loaders.transform import transform
from tests.loaders.conftest import ARROW_SCHEMA

NEW = ["agent_kind", "stored_hash", "redaction"]
DEFAULTS = ("claude_code", None, None)


def values(settings: Settings, view: str = "records") -> list[Any]:
    """Return the new columns of all rows in the order of their numbers."""
    with warehouse.connect(settings) as connection:
        query = f"select {', '.join(NEW)} from raw.{view} order by seq"
        return connection.execute(query).fetchall()


def make_older_views(settings: Settings) -> None:
    """Make the views of the warehouse what an older program had made."""
    names = ", ".join(f'"{name}"' for name in COLUMNS if name not in NEW)
    with warehouse.connect(settings) as connection:
        for view, sql in connection.execute(
            "select view_name, sql from duckdb_views() where schema_name = 'raw'"
        ).fetchall():
            body = sql.partition(" AS ")[2].rstrip(";")
            connection.execute(f"create or replace view raw.{view} as select {names} from ({body})")


def add_columns(lake: Any) -> None:
    """Add the new columns to the lake's table, as the extractor does."""
    with lake.table.update_schema() as update:
        for name in NEW:
            update.add_column(name, StringType())


def append(lake: Any, session: str, **columns: str | None) -> None:
    """Append a row as the new extractor writes it."""
    fields = [*ARROW_SCHEMA, *(pa.field(name, pa.string()) for name in NEW)]
    row = {**lake.entry(session, {"key": session}), **columns}
    lake.table.append(
        pa.Table.from_pylist([row], schema=pa.schema(fields)),
        snapshot_properties={"annals.kind": "extract", "annals.positions": '{"agent-1": 9}'},
    )


def test_data_files_without_the_columns_give_the_defaults(settings: Settings, lake: Any) -> None:
    """RC-07 Rows of a lake without the columns have their defaults."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    assert values(settings) == values(settings, "new_records") == [DEFAULTS]


def test_data_files_with_and_without_the_columns(settings: Settings, lake: Any) -> None:
    """RC-07 In one view each file gives what it has, and null reads as the default."""
    lake.append(lake.entry("s1", {"a": 1}))
    add_columns(lake)
    append(lake, "s2", agent_kind="codex", stored_hash="h", redaction="r")
    append(lake, "s3", agent_kind=None)
    lake.append(lake.entry("s4", {"a": 4}))
    load(settings)
    assert values(settings) == [DEFAULTS, ("codex", "h", "r"), DEFAULTS, DEFAULTS]


def test_views_of_an_older_program_are_made_anew(settings: Settings, lake: Any) -> None:
    """RC-07 A load with nothing new gives the views of an older warehouse their columns."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    make_older_views(settings)
    assert load(settings).files_new == 0
    assert values(settings) == [DEFAULTS]


def test_a_transform_needs_no_load_first(settings: Settings, lake: Any, small_dbt: Path) -> None:
    """RC-07 A transform after the change of version finds the values that the lake has."""
    add_columns(lake)
    append(lake, "s1", agent_kind="codex", stored_hash=None)
    load(settings)
    transform(settings, project=small_dbt)
    make_older_views(settings)
    transform(settings, project=small_dbt, full_refresh=True)
    assert values(settings) == [("codex", None, None)]
