"""Looking into a lake, and doing to it what other programs and people do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from annals.records import Record
from annals.settings import Settings
from extractors.cursor import SnapshotKind
from extractors.entries import to_arrow
from extractors.lake import Lake, WrittenFile, open_lake
from extractors.lake.table import SnapshotInfo
from tests.extractors.buffers import DAY, INGESTED_AT


def rows(settings: Settings) -> pa.Table:
    """Return the whole table."""
    with open_lake(settings) as lake:
        return lake._table.scan().to_arrow()


def ids(settings: Settings) -> Counter[str]:
    """Return how often each entry id is in the lake."""
    with open_lake(settings) as lake:
        return Counter(entry_id for batch in lake.entry_ids() for entry_id in batch.to_pylist())


def positions(settings: Settings) -> dict[str, int]:
    """Return the lake's positions."""
    with open_lake(settings) as lake:
        return dict(lake.cursor().positions)


def snapshots_of(settings: Settings) -> list[SnapshotInfo]:
    """Return the lake's kept snapshots, oldest first."""
    with open_lake(settings) as lake:
        return lake.snapshots()


def roll_back(settings: Settings, snapshot_id: int) -> None:
    """Make an older snapshot of the lineage the current one."""
    with open_lake(settings) as lake:
        lake._table.manage_snapshots().rollback_to_snapshot(snapshot_id).commit()


def commit_as_another_program(settings: Settings) -> None:
    """Add a snapshot that carries no cursor, as a compaction by another engine does."""
    with open_lake(settings) as lake:
        _append_nothing(lake)


def _append_nothing(lake: Lake) -> None:
    lake._table.append(lake._table.schema().as_arrow().empty_table())


def write(lake: Lake, records: list[Record]) -> list[WrittenFile]:
    """Write records as one data file."""
    return [lake.write(to_arrow(records, agent_id="a"), day=INGESTED_AT // DAY)]


def commit(lake: Lake, records: list[Record], seq: int) -> int:
    """Write and commit records under a position."""
    cursor = lake.cursor().raised({"a": seq}, {"a": f"token-{seq}"})
    return lake.commit(write(lake, records), cursor, kind=SnapshotKind.EXTRACT)


def data_files(settings: Settings) -> list[Path]:
    """Return the data files on disk, committed or not."""
    return sorted(settings.lake_folder.rglob("*.parquet"))
