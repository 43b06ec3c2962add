"""A small lake made with Iceberg directly, settings of its own, and a small dbt project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from annals.records import entry_id
from annals.settings import Settings

ARROW_SCHEMA = pa.schema(
    [
        pa.field("entry_id", pa.string(), nullable=False),
        pa.field("record_kind", pa.string(), nullable=False),
        pa.field("agent_id", pa.string(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("project_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("file_path", pa.string()),
        pa.field("file_key", pa.string()),
        pa.field("file_generation", pa.int32()),
        pa.field("byte_offset", pa.int64()),
        pa.field("byte_length", pa.int64()),
        pa.field("type", pa.string()),
        pa.field("uuid", pa.string()),
        pa.field("parent_uuid", pa.string()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("request_id", pa.string()),
        pa.field("version", pa.string()),
        pa.field("cwd", pa.string()),
        pa.field("git_branch", pa.string()),
        pa.field("is_sidechain", pa.bool_()),
        pa.field("host", pa.string()),
        pa.field("ingested_at", pa.timestamp("us", tz="UTC")),
        pa.field("reason", pa.string()),
        pa.field("raw", pa.string()),
        pa.field("raw_binary", pa.binary()),
    ]
)
"""The columns of the first version. Newer ones read as their defaults, as in every older lake."""

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


class LakeMaker:
    """Writes a lake of the shape that the extractor writes, with Iceberg's library alone."""

    def __init__(self, settings: Settings, first_seq: int = 0) -> None:
        self.settings = settings
        self._seq = first_seq
        self._open()

    def _open(self) -> None:
        from pyiceberg.catalog.sql import SqlCatalog
        from pyiceberg.exceptions import NoSuchTableError
        from pyiceberg.transforms import DayTransform

        folder = self.settings.lake_folder
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog = SqlCatalog(
            self.settings.iceberg_catalog_name,
            uri=f"sqlite:///{folder / 'catalog.db'}",
            warehouse=f"file://{folder}",
        )
        self.catalog.create_namespace_if_not_exists(self.settings.iceberg_namespace)
        name = (self.settings.iceberg_namespace, self.settings.iceberg_table_name)
        try:
            self.table = self.catalog.load_table(name)
        except NoSuchTableError:
            self.table = self.catalog.create_table(
                name, ARROW_SCHEMA, properties={"commit.retry.num-retries": "0"}
            )
            with self.table.update_spec() as spec:
                spec.add_field("ingested_at", DayTransform(), "ingested_at_day")

    def entry(self, session: str, raw: dict[str, Any] | str, **columns: Any) -> dict[str, Any]:
        """Return one row of the table; its identity comes from its content."""
        self._seq += 1
        text = raw if isinstance(raw, str) else json.dumps(raw, separators=(",", ":"))
        row: dict[str, Any] = dict.fromkeys(ARROW_SCHEMA.names)
        row.update(
            record_kind="entry",
            agent_id="agent-1",
            seq=self._seq,
            project_id="-home-user-project",
            session_id=session,
            file_path=f"/transcripts/-home-user-project/{session}.jsonl",
            file_key=f"{session}.jsonl",
            file_generation=0,
            byte_offset=self._seq * 1000,
            byte_length=len(text),
            timestamp=NOW,
            ingested_at=NOW,
            is_sidechain=False,
            host="laptop",
            raw=text,
        )
        row.update(columns)
        raw_bytes = row["raw_binary"] if row["raw"] is None else row["raw"].encode()
        computed = entry_id(row["file_key"].encode(), row["byte_offset"], raw_bytes).hex()
        return {**row, "entry_id": columns.get("entry_id", computed)}

    def append(self, *rows: dict[str, Any], kind: str = "extract") -> int:
        """Append rows as one snapshot; return its id."""
        self.table.refresh()
        self.table.append(
            pa.Table.from_pylist(list(rows), schema=ARROW_SCHEMA),
            snapshot_properties={
                "annals.kind": kind,
                "annals.positions": json.dumps({"agent-1": self._seq}),
            },
        )
        return self.head()

    def compact(self, *, marked: bool) -> int:
        """Rewrite all rows into one file, as maintenance or as a foreign engine does it."""
        self.table.refresh()
        rows = self.table.scan().to_arrow().cast(ARROW_SCHEMA)
        properties = {"annals.kind": "maintenance"} if marked else {}
        self.table.overwrite(rows, snapshot_properties=properties)
        return self.head()

    def head(self) -> int:
        """Return the id of the newest snapshot."""
        self.table.refresh()
        snapshot = self.table.current_snapshot()
        assert snapshot is not None
        return snapshot.snapshot_id

    def rollback(self, snapshot_id: int) -> None:
        """Make an older snapshot the newest one again."""
        self.table.manage_snapshots().rollback_to_snapshot(snapshot_id).commit()
        self.table.refresh()

    def replace_table(self) -> None:
        """Drop the table and make an empty one, which has another UUID."""
        name = (self.settings.iceberg_namespace, self.settings.iceberg_table_name)
        self.catalog.drop_table(name)
        self._open()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings whose every path lies in the test's own folder."""
    return Settings(
        _env_file=None,
        annals_home=tmp_path / "annals",
        sqlite_path=tmp_path / "sync" / "buffer.db",
        claude_dir=tmp_path / "projects",
        duckdb_path=None,
        iceberg_warehouse_path=None,
        publish_path=None,
        timezone="Europe/Berlin",
        host_name="laptop",
    )


@pytest.fixture(scope="session")
def make_lake() -> type[LakeMaker]:
    """Return what makes lakes, for tests that need another than the one below."""
    return LakeMaker


@pytest.fixture
def lake(settings: Settings) -> Iterator[LakeMaker]:
    """Return an empty lake."""
    maker = LakeMaker(settings)
    yield maker
    maker.catalog.engine.dispose()


@pytest.fixture
def small_dbt(tmp_path: Path) -> Path:
    """Return a copy of a dbt project of three models and one test."""
    return Path(shutil.copytree(Path(__file__).parent / "small_dbt", tmp_path / "small_dbt"))
