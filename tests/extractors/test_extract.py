from __future__ import annotations

import time
from pathlib import Path

import pytest

from annals.buffer.faults import MissingBufferError
from annals.errors import (
    ConflictError,
    DependencyError,
    IntegrityError,
    SourceGapError,
)
from annals.settings import Settings, load_settings
from annals.telemetry import NO_PROGRESS
from extractors import extract as stage
from extractors import local, writing
from extractors.extract import Tally, extract, prepare
from extractors.lake import open_lake
from tests.extractors.buffers import DAY, INGESTED_AT, Buffer
from tests.extractors.lakes import commit_as_another_program, ids, positions, roll_back, rows


def snapshots(settings: Settings) -> list[int]:
    """Return the ids of the lake's snapshots, oldest first."""
    with open_lake(settings) as lake:
        return [snapshot.snapshot_id for snapshot in lake.snapshots()]


def acknowledged(buffer: Buffer) -> dict[str, int]:
    """Return what each consumer has acknowledged."""
    return dict(buffer.execute("select name, acknowledged from consumers"))


def table_uuid(settings: Settings) -> str:
    """Return the name under which the lake acknowledges."""
    with open_lake(settings) as lake:
        return lake.table_uuid


class Watcher:
    """Keeps what it is told about progress."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float, float | None, str]] = []

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Keep one report."""
        self.seen.append((stage, done, total, unit))


def test_all_records_arrive(buffer: Buffer, settings: Settings) -> None:
    """P-06: one extraction brings all records, of every kind, with the cursor."""
    expected = buffer.append_entries(7)
    expected += buffer.append([b"\xff\xff"], record_kind="quarantine", reason="invalid_utf8")
    expected += buffer.append([b'{"event":"grown"}'], record_kind="file", type="grown")
    report = extract(settings)
    assert (report.records_read, report.entries_new, report.snapshots_committed) == (9, 7, 1)
    assert report.bytes_written == sum(
        path.stat().st_size for path in settings.lake_folder.rglob("*.parquet")
    )
    assert sorted(ids(settings)) == sorted(expected)
    assert positions(settings) == {buffer.agent_id: 9}
    table = rows(settings).sort_by("seq")
    assert table["record_kind"].to_pylist()[-2:] == ["quarantine", "file"]
    assert table["raw_binary"].to_pylist()[-2] == b"\xff\xff"
    assert set(table["agent_id"].to_pylist()) == {buffer.agent_id}


def test_only_new_records_are_read(buffer: Buffer, settings: Settings) -> None:
    """P-06: the second extraction begins where the cursor stands."""
    first = buffer.append_entries(5)
    extract(settings)
    second = buffer.append_entries(2)
    report = extract(settings)
    assert (report.records_read, report.entries_new, report.snapshots_committed) == (2, 2, 1)
    assert ids(settings) == dict.fromkeys(first + second, 1)


def test_nothing_new_is_nothing_done(buffer: Buffer, settings: Settings) -> None:
    """P-14: without new records there is no snapshot, no write to the buffer, and no waiting."""
    buffer.append_entries(5)
    first = extract(settings)
    tokens = buffer.execute("select * from tokens")
    files = sorted(settings.lake_folder.rglob("*"))
    begin = time.perf_counter()
    report = extract(settings)
    assert time.perf_counter() - begin < 1
    assert (report.records_read, report.entries_new, report.snapshots_committed) == (0, 0, 0)
    assert (report.snapshot_id, report.bytes_written) == (first.snapshot_id, 0)
    assert buffer.execute("select * from tokens") == tokens
    assert sorted(settings.lake_folder.rglob("*")) == files


def test_an_empty_buffer_commits_nothing(buffer: Buffer, settings: Settings) -> None:
    """P-14: a buffer without records leaves a lake without snapshots."""
    report = extract(settings)
    assert (report.snapshots_committed, report.snapshot_id) == (0, None)
    assert acknowledged(buffer) == {}


def test_large_backlogs_are_committed_in_parts(
    buffer: Buffer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-06: each commit of a long extraction carries the position of the rows in it."""
    monkeypatch.setattr(writing, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(stage, "COMMIT_BYTES", 3000)
    for _ in range(10):
        buffer.append_entries(1)
        buffer.append([b"x" * 900])
    watcher = Watcher()
    monkeypatch.setattr(local, "BATCH_RECORDS", 2)
    report = extract(settings, progress=watcher)
    assert report.snapshots_committed > 1
    assert report.entries_new == 20
    with open_lake(settings) as lake:
        infos = lake.snapshots()
    added = 0
    for info in infos:
        added += info.records_added
        assert info.positions == {buffer.agent_id: added}
    assert added == 20
    assert [done for _, done, _, _ in watcher.seen] == sorted(
        done for _, done, _, _ in watcher.seen
    )
    assert watcher.seen[-1] == ("extract", 20, 20, "records")


def test_each_day_gets_a_file(buffer: Buffer, settings: Settings) -> None:
    """A backlog over several days lands in each day's partition, in one snapshot."""
    for day in (0, 1, 0, 2):
        buffer.append_entries(2, ingested_at=INGESTED_AT + day * DAY)
    report = extract(settings)
    folders = {path.parent.name for path in settings.lake_folder.rglob("*.parquet")}
    assert folders == {f"ingested_at_day=2024-10-0{number}" for number in (4, 5, 6)}
    assert report.snapshots_committed == 1
    assert rows(settings).num_rows == 8


def test_the_oldest_reachable_position_is_acknowledged(buffer: Buffer, settings: Settings) -> None:
    """P-13: under the table's UUID, up to where a rollback could go."""
    for count in range(1, 6):
        buffer.append_entries(1)
        extract(settings)
        expected = max(1, count - settings.rollback_snapshots + 1)
        assert acknowledged(buffer) == {table_uuid(settings): expected}


def test_an_acknowledgement_that_was_missed_is_made_up_for(
    buffer: Buffer, settings: Settings
) -> None:
    """P-13: where the process died between commit and acknowledgement, the next run does it."""
    buffer.append_entries(3)
    extract(settings)
    buffer.execute("delete from consumers")
    assert extract(settings).snapshots_committed == 0
    assert acknowledged(buffer) == {table_uuid(settings): 3}


def test_a_rollback_within_reach_loses_nothing(buffer: Buffer, settings: Settings) -> None:
    """P-13: after the worst rollback and pruning, all records come back."""
    expected: list[str] = []
    for _ in range(6):
        expected += buffer.append_entries(2)
        extract(settings)
    buffer.prune()
    roll_back(settings, snapshots(settings)[-settings.rollback_snapshots])
    assert len(ids(settings)) == 8
    assert extract(settings).entries_new == 4
    assert ids(settings) == dict.fromkeys(expected, 1)
    assert acknowledged(buffer)[table_uuid(settings)] == 8


def test_two_extractors_never_move_the_cursor_back(buffer: Buffer, settings: Settings) -> None:
    """P-07: a plan made on an older snapshot commits nothing and is computed again."""
    first = buffer.append_entries(3)
    with open_lake(settings, create=True) as stale_lake:
        stale = prepare(settings, stale_lake)
        second = buffer.append_entries(2)
        assert extract(settings).entries_new == 5
        tally = Tally()
        with pytest.raises(ConflictError):
            stale.run(tally, NO_PROGRESS)
    assert tally.snapshots_committed == 0
    assert positions(settings) == {buffer.agent_id: 5}
    assert extract(settings).records_read == 0
    assert ids(settings) == dict.fromkeys(first + second, 1)
    assert len(list(settings.lake_folder.rglob("*.parquet"))) == 1


def test_a_conflict_is_computed_again(
    buffer: Buffer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-07: who is overtaken while writing takes only what the other left."""
    first = buffer.append_entries(3)
    real, overtaken = stage.prepare, []

    def overtake(*args: object, **options: object) -> object:
        plan = real(*args, **options)  # type: ignore[arg-type]
        if not overtaken:
            overtaken.append(True)
            extract(settings)
            first.extend(buffer.append_entries(1))
        return plan

    monkeypatch.setattr(stage, "prepare", overtake)
    report = extract(settings)
    assert (report.entries_new, report.snapshots_committed) == (1, 1)
    assert ids(settings) == dict.fromkeys(first, 1)


def test_endless_conflicts_end(
    buffer: Buffer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-07: who is overtaken every time gives up with exit 8, and has changed nothing."""
    buffer.append_entries(1)
    real = stage.prepare

    def overtake(*args: object, **options: object) -> object:
        plan = real(*args, **options)  # type: ignore[arg-type]
        commit_as_another_program(settings)
        return plan

    monkeypatch.setattr(stage, "prepare", overtake)
    with open_lake(settings, create=True) as lake:
        real(settings, lake).run(Tally(), NO_PROGRESS)
    buffer.append_entries(1)
    with pytest.raises(ConflictError):
        extract(settings)
    assert positions(settings) == {buffer.agent_id: 1}


def test_a_copied_buffer_becomes_another_agent(
    buffer: Buffer, settings: Settings, tmp_path: Path
) -> None:
    """P-11: two copies of a buffer that go on separately both get all their records in."""
    shared = buffer.append_entries(3)
    extract(settings)
    clone = buffer.copy(tmp_path / "clone.db")
    theirs = load_settings(sqlite_path=clone.path, annals_home=settings.annals_home)
    mine_new = buffer.append([b"mine-1", b"mine-2"])
    extract(settings)
    clone_new = clone.append([b"clone-1"])
    extract(theirs)
    assert clone.agent_id != buffer.agent_id
    assert set(ids(settings)) == {*shared, *mine_new, *clone_new}
    assert positions(settings) == {buffer.agent_id: 5, clone.agent_id: 4}
    assert extract(settings).records_read == extract(theirs).records_read == 0


def test_a_restored_buffer_loses_nothing(
    buffer: Buffer, settings: Settings, tmp_path: Path
) -> None:
    """P-11: a buffer put back from an older copy gives new seqs that the lake would pass over."""
    old = buffer.append_entries(2)
    copy = buffer.copy(tmp_path / "copy.db")
    gone = buffer.append([b"gone-1", b"gone-2"])
    extract(settings)
    for suffix in ("-wal", "-shm"):
        Path(f"{buffer.path}{suffix}").unlink(missing_ok=True)
    copy.path.replace(buffer.path)
    new = buffer.append([b"new-1", b"new-2"])
    extract(settings)
    assert set(ids(settings)) == {*old, *gone, *new}


def test_two_machines_share_a_lake(buffer: Buffer, settings: Settings, tmp_path: Path) -> None:
    """P-08: each buffer raises its own position and carries the other's on."""
    other = Buffer(tmp_path / "other.db")
    theirs = load_settings(sqlite_path=other.path, annals_home=settings.annals_home)
    for _ in range(2):
        buffer.append_entries(2)
        extract(settings)
        other.append_entries(3)
        extract(theirs)
    assert positions(settings) == {buffer.agent_id: 4, other.agent_id: 6}


def test_a_new_lake_gets_everything_still_held(
    buffer: Buffer, settings: Settings, tmp_path: Path
) -> None:
    """P-12: a second lake on an unpruned buffer starts at nothing and misses nothing."""
    expected = buffer.append_entries(3)
    extract(settings)
    second = load_settings(sqlite_path=buffer.path, annals_home=tmp_path / "second")
    extract(second)
    assert ids(second) == dict.fromkeys(expected, 1)
    assert acknowledged(buffer) == {table_uuid(settings): 3, table_uuid(second): 3}


def test_a_new_lake_on_a_pruned_buffer_is_refused(
    buffer: Buffer, settings: Settings, tmp_path: Path
) -> None:
    """P-03: what was pruned for another lake is missing here: exit 9 with the way out."""
    buffer.append_entries(3)
    extract(settings)
    buffer.prune()
    kept = buffer.append_entries(2)
    second = load_settings(sqlite_path=buffer.path, annals_home=tmp_path / "second")
    with pytest.raises(SourceGapError, match=table_uuid(settings)) as caught:
        extract(second)
    assert caught.value.exit_code == 9
    assert "--full-backfill" in caught.value.hint
    assert extract(second, full_backfill=True).entries_new == 2
    assert ids(second) == dict.fromkeys(kept, 1)
    later = buffer.append_entries(1)
    assert extract(second).entries_new == 1
    assert set(ids(second)) == {*kept, *later}


def test_data_without_a_cursor_stops_everything(buffer: Buffer, settings: Settings) -> None:
    """P-09: nothing is appended to a lake that does not know how far it has come."""
    open_lake(settings, create=True).close()
    commit_as_another_program(settings)
    buffer.append_entries(1)
    with pytest.raises(IntegrityError, match="how far"):
        extract(settings)
    assert rows(settings).num_rows == 0


def test_a_missing_buffer_makes_no_lake(tmp_path: Path) -> None:
    """Without a buffer there is an error, and no empty lake."""
    settings = load_settings(sqlite_path=tmp_path / "none.db", annals_home=tmp_path / "home")
    with pytest.raises(MissingBufferError):
        extract(settings)
    assert not (tmp_path / "home").exists()


def test_a_server_that_is_not_there_makes_no_lake(buffer: Buffer, tmp_path: Path) -> None:
    """With MONGO_URI set it is the server that is read; without an answer there is no lake."""
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    home = tmp_path / "home"
    settings = load_settings(sqlite_path=buffer.path, annals_home=home, mongo_uri=uri)
    with pytest.raises(DependencyError) as caught:
        extract(settings)
    assert caught.value.exit_code == 4
    assert not home.exists()


def test_a_very_long_record_arrives(buffer: Buffer, settings: Settings) -> None:
    """A record of 60 MiB goes into the lake with all its bytes."""
    large = b"x" * (60 * 1024 * 1024)
    buffer.append([b"before", large, b"after"])
    assert extract(settings).entries_new == 3
    table = rows(settings).sort_by("seq")
    assert table["raw"][1].as_buffer().size == len(large)
