from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from annals.errors import (
    AnalyticsError,
    ConflictError,
    DiskFullError,
    IntegrityError,
)
from annals.records import Record
from annals.settings import Settings
from extractors.cursor import Cursor, SnapshotKind
from extractors.entries import SCHEMA
from extractors.lake import Lake, open_lake
from extractors.local import LocalSource
from tests.extractors.buffers import DAY, INGESTED_AT, Buffer
from tests.extractors.lakes import (
    commit,
    commit_as_another_program,
    data_files,
    positions,
    roll_back,
    rows,
    write,
)


def test_a_new_lake_is_empty(settings: Settings) -> None:
    """P-08: a table without snapshots has the empty cursor."""
    with open_lake(settings, create=True) as lake:
        assert lake.cursor() == Cursor()
        assert lake.snapshot_id is None
        assert lake.info().rows == 0
        assert lake.snapshots() == []
        assert list(lake.entry_ids()) == []
        assert lake.oldest_reachable(3) == Cursor()


def test_the_table_forbids_blind_retries(settings: Settings) -> None:
    """P-07: the table's properties forbid retries and keep metadata small."""
    with open_lake(settings, create=True) as lake:
        properties = lake._table.properties
    assert properties["commit.retry.num-retries"] == "0"
    assert properties["commit.manifest-merge.enabled"] == "true"
    assert properties["write.metadata.delete-after-commit.enabled"] == "true"
    assert properties["write.parquet.compression-level"] == "3"


def test_rows_and_cursor_are_one_snapshot(settings: Settings, records: list[Record]) -> None:
    """P-06: a commit makes rows and cursor visible together, and nothing before it."""
    with open_lake(settings, create=True) as lake:
        files = write(lake, records)
        assert positions(settings) == {}
        assert rows(settings).num_rows == 0
        cursor = Cursor({"a": 10}, {"a": "t"})
        snapshot_id = lake.commit(files, cursor, kind=SnapshotKind.EXTRACT)
        assert lake.cursor() == cursor
    assert positions(settings) == {"a": 10}
    table = rows(settings).sort_by("seq")
    assert table["entry_id"].to_pylist() == [record.entry_id for record in records]
    assert table["raw"].to_pylist() == [record.raw.decode() for record in records]
    with open_lake(settings) as lake:
        (snapshot,) = lake.snapshots()
        info = lake.info()
    assert (snapshot.snapshot_id, snapshot.parent_id, snapshot.kind) == (
        snapshot_id,
        None,
        "extract",
    )
    assert (snapshot.records_added, snapshot.files_added) == (10, 1)
    assert snapshot.positions == {"a": 10}
    assert (info.rows, info.files, info.snapshots) == (10, 1, 1)
    assert info.bytes == snapshot.bytes_added == files[0].size


def test_files_are_ordered_and_partitioned(settings: Settings, records: list[Record]) -> None:
    """A data file lies in its day's folder, its rows by session and seq, in zstd."""
    with open_lake(settings, create=True) as lake:
        commit(lake, records, 10)
    (path,) = data_files(settings)
    assert path.parent.name == "ingested_at_day=2024-10-04"
    table = pq.read_table(path, partitioning=None)
    pairs = list(zip(table["session_id"].to_pylist(), table["seq"].to_pylist(), strict=True))
    assert pairs == sorted(pairs)
    metadata = pq.read_metadata(path)
    columns = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert [column.path_in_schema for column in columns] == SCHEMA.names
    assert not columns[SCHEMA.names.index("raw")].is_stats_set


def test_rows_of_two_days_cannot_share_a_file(settings: Settings, buffer: Buffer) -> None:
    """A file that would lie in the wrong partition is refused, and does not stay."""
    buffer.append_entries(1)
    buffer.append_entries(1, ingested_at=INGESTED_AT + DAY)
    batch = next(LocalSource(buffer.path).read(buffer.agent_id, after=0, through=2))
    with open_lake(settings, create=True) as lake, pytest.raises(ValueError, match="partition"):
        write(lake, batch)
    assert data_files(settings) == []


def test_a_stale_commit_is_a_conflict(settings: Settings, records: list[Record]) -> None:
    """P-07: who computed on an older snapshot commits nothing, and its files go."""
    with open_lake(settings, create=True) as first, open_lake(settings) as second:
        commit(first, records[:5], 5)
        with pytest.raises(ConflictError) as caught:
            commit(second, records[:3], 3)
    assert caught.value.exit_code == 8
    assert positions(settings) == {"a": 5}
    assert rows(settings).num_rows == 5
    assert len(data_files(settings)) == 1


def test_a_commit_across_a_rollback_is_a_conflict(
    settings: Settings, records: list[Record]
) -> None:
    """P-07: where somebody committed and rolled back in between, the plan is made again."""
    with open_lake(settings, create=True) as lake:
        first = commit(lake, records[:2], 2)
        with open_lake(settings) as stale:
            commit(lake, records[2:4], 4)
            roll_back(settings, first)
            with pytest.raises(ConflictError):
                commit(stale, records[2:3], 3)
    assert positions(settings) == {"a": 2}
    assert len(data_files(settings)) == 2


def test_of_many_writers_one_wins(settings: Settings, records: list[Record]) -> None:
    """P-07: of ten that commit at the same moment on the same snapshot, exactly one succeeds."""
    open_lake(settings, create=True).close()
    lakes = [open_lake(settings) for _ in range(10)]
    outcomes: list[int | AnalyticsError] = []
    start = threading.Barrier(len(lakes))

    def run(lake: Lake, seq: int) -> None:
        start.wait()
        try:
            outcomes.append(commit(lake, records[:seq], seq))
        except ConflictError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(lakes, range(1, 11))]  # noqa: B905
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lake in lakes:
        lake.close()
    winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(outcomes) == 10
    assert len(winners) == 1
    (seq,) = positions(settings).values()
    assert rows(settings).num_rows == seq


def test_the_cursor_is_the_nearest_ancestors(settings: Settings, records: list[Record]) -> None:
    """P-08: another program's snapshot carries no cursor; the one before it counts."""
    with open_lake(settings, create=True) as lake:
        commit(lake, records[:5], 5)
    commit_as_another_program(settings)
    assert positions(settings) == {"a": 5}
    with open_lake(settings) as lake:
        assert [snapshot.positions for snapshot in lake.snapshots()] == [{"a": 5}, None]
        assert lake.snapshots()[-1].kind == "append"
        commit(lake, records[5:], 10)
    assert positions(settings) == {"a": 10}


def test_a_rolled_back_cursor_is_the_older_one(settings: Settings, records: list[Record]) -> None:
    """P-08: after a rollback rows and cursor are those of the snapshot gone back to."""
    with open_lake(settings, create=True) as lake:
        first = commit(lake, records[:5], 5)
        commit(lake, records[5:], 10)
    roll_back(settings, first)
    assert positions(settings) == {"a": 5}
    assert rows(settings).num_rows == 5


def test_data_without_a_cursor_is_refused(settings: Settings) -> None:
    """P-09: snapshots but no cursor anywhere is exit 9, and never the empty cursor."""
    open_lake(settings, create=True).close()
    commit_as_another_program(settings)
    with open_lake(settings) as lake, pytest.raises(IntegrityError) as caught:
        lake.cursor()
    assert caught.value.exit_code == 9


@pytest.mark.parametrize(("commits", "reach", "expected"), [(1, 3, 1), (5, 3, 3), (5, 9, 1)])
def test_the_oldest_reachable_cursor(
    settings: Settings, records: list[Record], commits: int, reach: int, expected: int
) -> None:
    """P-13: of the newest ``reach`` snapshots the oldest one's cursor is acknowledged."""
    with open_lake(settings, create=True) as lake:
        for seq in range(1, commits + 1):
            commit(lake, [records[seq - 1]], seq)
        assert lake.oldest_reachable(reach).positions == {"a": expected}


def test_reach_counts_other_programs_snapshots(settings: Settings, records: list[Record]) -> None:
    """P-13: a rollback goes to a snapshot with a cursor of its own, however far that is."""
    with open_lake(settings, create=True) as lake:
        commit(lake, records[:1], 1)
        commit(lake, records[1:2], 2)
    for _ in range(3):
        commit_as_another_program(settings)
    with open_lake(settings) as lake:
        assert lake.oldest_reachable(4).positions == {"a": 2}
        assert lake.oldest_reachable(3).positions == {"a": 2}


def test_what_a_commit_refers_to_is_on_disk_first(
    settings: Settings, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-15: every file of a commit and every new folder is synced before the commit returns."""
    synced: set[str] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with open_lake(settings, create=True) as lake:
        commit(lake, records, 10)
    written = {path for path in settings.lake_folder.rglob("*") if path.name != "catalog.db"}
    files = {str(path) for path in written if path.is_file()}
    folders = {str(path.parent) for path in written}
    assert len(files) == 5
    assert files <= synced
    assert folders <= synced


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system at a folder; skip where this user may not."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("free_kib", [4, 24])
def test_a_full_disk_keeps_what_was_committed(
    settings: Settings, buffer: Buffer, free_kib: int
) -> None:
    """Without space the commit fails with exit 10, leaves no data file, and works again later."""
    buffer.append([os.urandom(6000).hex().encode() for _ in range(4)])
    batch = next(LocalSource(buffer.path).read(buffer.agent_id, after=0, through=4))
    with small_disk(settings.lake_folder, "256k"), open_lake(settings, create=True) as lake:
        commit(lake, batch[:1], 1)
        statistics = os.statvfs(settings.lake_folder)
        ballast = settings.lake_folder / "ballast"
        free = statistics.f_bavail * statistics.f_bsize
        ballast.write_bytes(b"x" * (free - free_kib * 1024))
        with pytest.raises(DiskFullError) as caught:
            commit(lake, batch, 4)
        assert caught.value.exit_code == 10
        assert len(data_files(settings)) == 1
        assert positions(settings) == {"a": 1}
        ballast.unlink()
        with open_lake(settings) as again:
            commit(again, batch, 4)
        assert positions(settings) == {"a": 4}
