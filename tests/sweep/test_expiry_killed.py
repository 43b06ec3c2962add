"""Kill an extraction that expires snapshots at any point: the next one loses and leaves nothing.

``make sweep`` sets SWEEP_POINTS (200 or more); the suite runs a short form of the same code.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from annals.settings import Settings, load_settings
from extractors.lake import open_lake
from extractors.lake.relocation import require_whole
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids
from tests.sweep import killing, stages

POINTS = max(4, int(os.environ.get("SWEEP_POINTS", "8")) // 4)
KEPT = 3


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings whose next extraction expires, with the ids of its lake saved beside it."""
    root = tmp_path_factory.mktemp("expiry")
    settings = load_settings(
        sqlite_path=root / "state" / "buffer.db",
        annals_home=root / "state" / "annals",
        rollback_snapshots=1,
        iceberg_keep_snapshots=KEPT,
        iceberg_keep_days=0,
    )
    buffer = Buffer(settings.sqlite_path)
    for _ in range(2 * KEPT - 1):
        buffer.append_entries(1)
        killing.run(stages.to_lake, settings)
    buffer.append_entries(1)
    shutil.copytree(root / "state", root / "saved")
    return settings


def restore(settings: Settings) -> None:
    """Put buffer and lake back to what they were before the extraction that expires."""
    state = settings.sqlite_path.parent
    shutil.rmtree(state)
    shutil.copytree(state.with_name("saved"), state)


def lists(settings: Settings) -> set[str]:
    """Return the names of the manifest lists on disk."""
    return {path.name for path in settings.lake_folder.rglob("snap-*.avro")}


def kept_lists(settings: Settings) -> set[str]:
    """Return the names of the manifest lists of the kept snapshots; all their files are there."""
    with open_lake(settings) as lake:
        require_whole(Path(lake.table.metadata_location.removeprefix("file://")))
        return {Path(one.manifest_list).name for one in lake.table.metadata.snapshots}


def test_an_extraction_killed_while_it_expires_is_finished_by_the_next(settings: Settings) -> None:
    """P-22: each row is there once, the lake is whole, and nothing expired stays on disk."""
    before = lists(settings)
    calls = killing.calls(stages.to_lake, settings)
    wanted = dict.fromkeys(ids(settings), 1)
    assert len(kept_lists(settings)) == KEPT, "it did expire"
    restore(settings)
    extent = killing.Extent(calls, killing.seconds(stages.to_lake, settings))
    killed = 0
    for moment in extent.moments(POINTS):
        restore(settings)
        killed += killing.kill(moment, stages.to_lake, settings)
        killing.run(stages.to_lake, settings)
        assert ids(settings) == wanted, moment
        kept = kept_lists(settings)
        assert KEPT <= len(kept) < 2 * KEPT, moment
        assert lists(settings) & before <= kept, moment
    assert killed >= POINTS // 2
