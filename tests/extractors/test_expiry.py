from __future__ import annotations

import json
from pathlib import Path

import pytest

from annals.settings import Settings
from extractors.cursor import SnapshotKind
from extractors.extract import extract
from extractors.lake import expiry, open_lake
from extractors.lake.expiry import NOTE, Retention, expire
from extractors.lake.relocation import require_whole
from loaders.lake import Head
from loaders.lake import open_lake as read_lake
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids, roll_back, snapshots_of

KEPT = Retention(snapshots=4, days=0, reach=3)


@pytest.fixture
def small(settings: Settings) -> Settings:
    """Return settings that keep four snapshots and none by day."""
    return settings.model_copy(update={"iceberg_keep_snapshots": 4, "iceberg_keep_days": 0})


def run_extractions(settings: Settings, buffer: Buffer, count: int) -> list[str]:
    """Extract ``count`` times, one new record each; return the ids."""
    made: list[str] = []
    for _ in range(count):
        made += buffer.append_entries(1)
        extract(settings)
    return made


def metadata_files(settings: Settings) -> set[Path]:
    """Return the manifest lists and manifests on disk.

    Without those that a commit wrote and merged at once: they stay as long as its snapshot does.
    """
    found = set(settings.lake_folder.rglob("*.avro"))
    commits = {path.stem.split("-", 3)[3] for path in found if path.stem.startswith("snap-")}
    merged = {path.with_name(f"{commit}-m0.avro") for path in found for commit in commits}
    return found - {
        path for path in merged if path.with_name(path.name.replace("-m0", "-m1")) in found
    }


def reachable_files(settings: Settings) -> set[Path]:
    """Return the manifest lists and manifests that any kept snapshot reaches."""
    found: set[Path] = set()
    with open_lake(settings) as lake:
        for snapshot in lake.table.metadata.snapshots:
            found.add(Path(snapshot.manifest_list.removeprefix("file://")))
            for manifest in snapshot.manifests(lake.table.io):
                found.add(Path(manifest.manifest_path.removeprefix("file://")))
    return found


def require_whole_lake(settings: Settings) -> None:
    """Check that every file that the newest metadata names is there."""
    with open_lake(settings) as lake:
        require_whole(Path(lake.table.metadata_location.removeprefix("file://")))


def test_the_extractor_keeps_between_once_and_twice_as_many(
    small: Settings, buffer: Buffer
) -> None:
    """P-21: snapshots and metadata files stay bounded and no row is lost."""
    made = run_extractions(small, buffer, 21)
    assert 4 <= len(snapshots_of(small)) < 8
    assert metadata_files(small) == reachable_files(small)
    assert ids(small) == dict.fromkeys(made, 1)
    require_whole_lake(small)


def test_a_run_with_nothing_new_commits_nothing(small: Settings, buffer: Buffer) -> None:
    """After an expiry, a run with nothing new leaves the table's metadata as it is."""
    run_extractions(small, buffer, 9)
    with open_lake(small) as lake:
        before = lake.table.metadata_location
    report = extract(small)
    with open_lake(small) as lake:
        assert lake.table.metadata_location == before
    assert report.snapshots_expired == 0


def test_tags_and_the_reach_of_a_rollback_are_kept(small: Settings, buffer: Buffer) -> None:
    """P-21: a tagged snapshot never expires, nor does one that a rollback reaches."""
    run_extractions(small, buffer, 2)
    with open_lake(small) as lake:
        tagged = lake.snapshots()[0].snapshot_id
        lake.table.manage_snapshots().create_tag(tagged, "before").commit()
    wide = small.model_copy(update={"rollback_snapshots": 9})
    run_extractions(wide, buffer, 18)
    kept = [snapshot.snapshot_id for snapshot in snapshots_of(wide)]
    assert tagged in kept
    assert len(kept) >= 9
    require_whole_lake(wide)


def test_the_last_snapshot_of_each_day_is_kept(
    settings: Settings, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-21: of each of the newest days one snapshot stays, whatever the clock claims."""
    days = settings.model_copy(update={"iceberg_keep_snapshots": 2, "iceberg_keep_days": 3})
    run_extractions(settings, buffer, 1)
    with open_lake(settings) as lake:
        first = lake.table.metadata.snapshots[0]
        metadata = lake.table.metadata.model_copy(
            update={
                "snapshots": [
                    first.model_copy(
                        update={
                            "snapshot_id": number,
                            "sequence_number": number,
                            "parent_snapshot_id": number - 1 or None,
                            # two a day, and the clock jumps ahead for one of them
                            "timestamp_ms": (number // 2 + 400 * (number == 5)) * 86_400_000,
                        }
                    )
                    for number in range(1, 21)
                ],
                "current_snapshot_id": 20,
                "refs": {},
            }
        )
        kept = {
            number
            for number in range(1, 21)
            if number
            not in {
                one.snapshot_id
                for one in expiry._due(metadata, Retention(2, days.iceberg_keep_days, 1))
            }
        }
    assert kept == {20, 19, 17}


@pytest.mark.parametrize("deletions", [0, 2, 4, 6])
def test_a_killed_deletion_is_finished_by_the_next_run(
    small: Settings, buffer: Buffer, deletions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-22: killed after any deletion, the next run deletes the rest and loses nothing."""
    with open_lake(small, create=True) as lake, lake.table.transaction() as change:
        change.set_properties({"commit.manifest.min-count-to-merge": "3"})
    made = run_extractions(small, buffer, 7)
    done = 0
    original = expiry._delete

    def die(io: object, path: str) -> int:
        nonlocal done
        if done == deletions:
            raise KeyboardInterrupt
        done += 1
        return original(io, path)  # type: ignore[arg-type]

    made += buffer.append_entries(1)
    with monkeypatch.context() as patched:
        patched.setattr(expiry, "_delete", die)
        with pytest.raises(KeyboardInterrupt):
            extract(small)
    assert metadata_files(small) != reachable_files(small)
    extract(small)
    assert metadata_files(small) == reachable_files(small)
    assert ids(small) == dict.fromkeys(made, 1)
    require_whole_lake(small)


def test_an_expiry_that_loses_a_race_changes_nothing(small: Settings, buffer: Buffer) -> None:
    """P-22: if the lake is rolled back at this moment, no snapshot is removed under it."""
    run_extractions(small, buffer, 7)
    extract(small.model_copy(update={"iceberg_keep_snapshots": 50}))
    with open_lake(small) as lake:
        target = lake.snapshots()[-5].snapshot_id
        roll_back(small, target)
        assert expire(lake, Retention(3, 0, 1)).snapshots == 0
    with open_lake(small) as lake:
        assert lake.snapshot_id == target
    assert len(snapshots_of(small)) == 7
    require_whole_lake(small)


def test_files_of_an_abandoned_branch_are_deleted(small: Settings, buffer: Buffer) -> None:
    """Data files that only rolled-back snapshots reach are deleted with them."""
    made = run_extractions(small, buffer, 3)
    roll_back(small, snapshots_of(small)[-2].snapshot_id)
    before = set(small.lake_folder.rglob("*.parquet"))
    made += run_extractions(small, buffer, 12)
    with open_lake(small) as lake:
        live = {
            Path(task.file.file_path.removeprefix("file://"))
            for task in lake.table.scan().plan_files()
        }
    assert before - live
    assert set(small.lake_folder.rglob("*.parquet")) == live
    assert ids(small) == dict.fromkeys(made, 1)


def test_many_snapshots_expire_in_bounded_steps(
    small: Settings, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lake of an older version catches up run by run, while rows are added."""
    monkeypatch.setattr(expiry, "STEP", 5)
    many = small.model_copy(update={"iceberg_keep_snapshots": 1_000})
    made = run_extractions(many, buffer, 20)
    counts = []
    for _ in range(4):
        made += run_extractions(small, buffer, 1)
        counts.append(len(snapshots_of(small)))
    assert counts == [16, 12, 8, 4]
    assert ids(small) == dict.fromkeys(made, 1)
    assert metadata_files(small) == reachable_files(small)


def test_a_loader_whose_cursor_expired_lists_all_files(small: Settings, buffer: Buffer) -> None:
    """P-22: no file is missed, whether the loader's cursor expired or it saw the table empty."""
    with open_lake(small, create=True) as lake:
        empty = Head(lake.table_uuid, None)
    run_extractions(small, buffer, 1)
    reader = read_lake(small)
    assert reader is not None
    first = reader.head
    known = {file.file_path: False for file in reader.changes(empty, {}).new}
    run_extractions(small, buffer, 12)
    reader = read_lake(small)
    assert reader is not None
    assert len(reader.changes(first, known).new) == 12
    assert len(reader.changes(empty, {}).new) == 13
    assert len(reader.changes(None, {}).new) == 13


def test_the_note_names_what_was_removed(small: Settings, buffer: Buffer) -> None:
    """The table's property lists the removed manifest lists, for a run that has to continue."""
    run_extractions(small, buffer, 8)
    with open_lake(small) as lake:
        note = json.loads(lake.table.properties[NOTE])
        assert note["data"] is False
        assert len(note["lists"]) == 4
        assert SnapshotKind.EXTRACT in {one.kind for one in lake.snapshots()}


@pytest.mark.parametrize("kind", ["list", "manifest"])
def test_nothing_is_deleted_while_a_kept_file_is_missing(
    settings: Settings, buffer: Buffer, kind: str
) -> None:
    """P-21: what a kept snapshot reaches is not known without its lists and manifests."""
    run_extractions(settings, buffer, 12)
    with open_lake(settings) as lake:
        tagged = lake.table.metadata.snapshots[2]
        lake.table.manage_snapshots().create_tag(tagged.snapshot_id, "before").commit()
        roll_back_to = lake.table.metadata.snapshots[8].snapshot_id
        lake.table.manage_snapshots().rollback_to_snapshot(roll_back_to).commit()
        (manifest, *_) = tagged.manifests(lake.table.io)
        name = tagged.manifest_list if kind == "list" else manifest.manifest_path
    missing = Path(name.removeprefix("file://"))
    aside = missing.rename(missing.with_suffix(".aside"))
    data = set(settings.lake_folder.rglob("*.parquet"))
    with open_lake(settings) as lake:
        assert expire(lake, KEPT).files == 0
    assert set(settings.lake_folder.rglob("*.parquet")) == data
    aside.rename(missing)
    require_whole_lake(settings)
    with open_lake(settings) as lake:
        assert expire(lake, KEPT).files > 0
    require_whole_lake(settings)
