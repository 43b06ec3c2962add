"""Lakes of a version with fewer columns: the extractor adds them, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import DayTransform

from annals.lake.content import content_hash
from annals.records import Record
from annals.settings import Settings
from extractors.entries import SCHEMA, to_arrow
from extractors.extract import extract
from extractors.files import write_parquet
from extractors.lake import open_lake
from extractors.lake.catalog import PROPERTIES, connect_catalog, table_identifier
from extractors.lake.evolution import add_columns
from extractors.lake.restoring import restore_rows
from extractors.salvage import rows_table, salvage_rows
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import positions, rows, snapshots_of
from tests.loaders.conftest import ARROW_SCHEMA, LakeMaker
from tests.servers.lakes import FarLake

NEW = {"agent_kind": 26, "stored_hash": 27, "redaction": 28}


@pytest.fixture
def older(settings: Settings) -> Iterator[LakeMaker]:
    """Return a lake that an older program made, with one row."""
    maker = LakeMaker(settings)
    maker.append(maker.entry("s", {"a": 1}))
    yield maker
    maker.catalog.engine.dispose()


def new_fields(settings: Settings) -> dict[str, int]:
    """Return the added columns that the table has, with their field ids."""
    with open_lake(settings) as lake:
        fields = {field.name: field.field_id for field in lake.table.schema().fields}
    assert len(fields) == len(ARROW_SCHEMA) + len(fields.keys() & NEW.keys())
    return {name: fields[name] for name in NEW if name in fields}


def kinds(settings: Settings) -> dict[str, int]:
    """Return how many rows of the lake have each agent kind."""
    found = rows(settings)["agent_kind"].to_pylist()
    return {str(kind): found.count(kind) for kind in set(found)}


def test_the_next_extraction_adds_the_columns(
    settings: Settings, older: LakeMaker, buffer: Buffer
) -> None:
    """RC-06 The columns come last, without a snapshot of their own; cursor and rows stay."""
    before = older.head()
    buffer.append_entries(3)
    report = extract(settings)
    assert (report.entries_new, report.snapshots_committed) == (3, 1)
    assert new_fields(settings) == NEW
    assert [one.snapshot_id for one in snapshots_of(settings)] == [before, report.snapshot_id]
    assert positions(settings) == {"agent-1": 1, buffer.agent_id: 3}
    assert kinds(settings) == {"None": 1, "claude_code": 3}


def test_the_columns_are_added_once(settings: Settings, older: LakeMaker, buffer: Buffer) -> None:
    """RC-06 With nothing to add nothing is committed, and reading never adds anything."""
    buffer.append_entries(1)
    assert new_fields(settings) == {}
    extract(settings)
    with open_lake(settings) as lake:
        location = lake.table.metadata_location
    extract(settings)
    with open_lake(settings) as lake:
        assert lake.table.metadata_location == location


@pytest.mark.usefixtures("older")
def test_programs_may_open_it_at_once(settings: Settings) -> None:
    """RC-06 Of extractors that begin together one adds the columns, and the others go on."""

    def begin(_: int) -> int:
        with open_lake(settings, create=True) as lake:
            return len(lake.file_schema)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(begin, range(4))) == {len(ARROW_SCHEMA) + len(NEW)}
    assert new_fields(settings) == NEW


def test_an_older_program_goes_on_appending(settings: Settings, older: LakeMaker) -> None:
    """RC-05 An older extractor that opened the lake before commits after, and loses no column."""
    row = older.entry("s", {"a": 2})
    open_lake(settings, create=True).close()
    older.table.append(pa.Table.from_pylist([row], schema=ARROW_SCHEMA))
    assert new_fields(settings) == NEW
    assert kinds(settings) == {"None": 2}
    older.append(older.entry("s", {"a": 3}))
    assert new_fields(settings) == NEW
    assert positions(settings) == {"agent-1": 3}


def test_the_cursor_is_read_after_the_columns_are_added(
    settings: Settings, older: LakeMaker
) -> None:
    """RC-06 What another program commits in between is below the cursor that counts."""
    with open_lake(settings) as lake:
        newest = older.append(older.entry("s", {"a": 2}))
        add_columns(lake.table, lake.checksums)
        assert lake.snapshot_id == newest
        assert dict(lake.cursor().positions) == {"agent-1": 2}


def test_data_files_of_older_programs_are_put_back(
    settings: Settings, records: list[Record], tmp_path: Path
) -> None:
    """RC-06 Rows of an older data file give the very bytes that it had, without new columns."""
    with open_lake(settings, create=True) as lake:
        older = pa.schema(list(lake.file_schema)[: len(ARROW_SCHEMA)])
        encoded = pa.BufferOutputStream()
        write_parquet(encoded, to_arrow(records, agent_id="a"), schema=older)
        content = encoded.getvalue().to_pybytes()
        path = tmp_path / f"file-{content_hash([content])}.parquet"
        path.write_bytes(content)
        table = rows_table(salvage_rows(path))
        assert table["agent_kind"].to_pylist() == ["claude_code"] * len(records)
        path.unlink()
        assert restore_rows(lake, str(path), table) == ""
    assert path.read_bytes() == content


def test_a_lake_behind_a_catalog_server(far_lake: FarLake, buffer: Buffer, tmp_path: Path) -> None:
    """RC-06 The columns are added through a REST catalog as well."""
    far = far_lake.settings(tmp_path, sqlite_path=buffer.path)
    name = table_identifier(far)
    with closing(connect_catalog(far)) as catalog:
        catalog.create_namespace_if_not_exists(name[:-1])
        older = pyarrow_to_schema(pa.schema(list(SCHEMA)[: len(ARROW_SCHEMA)]))
        day = PartitionField(22, 1000, DayTransform(), "ingested_at_day")
        known = {key: value for key, value in PROPERTIES.items() if key.split(".")[-1] not in NEW}
        catalog.create_table(name, older, partition_spec=PartitionSpec(day), properties=known)
    buffer.append_entries(2)
    assert extract(far).entries_new == 2
    assert new_fields(far) == NEW
    assert kinds(far) == {"claude_code": 2}
