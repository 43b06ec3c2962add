"""Looking into a lake, and doing to it what other programs and people do."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from analytics.settings import Settings
from extractors.lake import Lake, open_lake


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
