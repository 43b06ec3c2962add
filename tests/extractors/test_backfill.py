from __future__ import annotations

from annals.settings import Settings
from extractors.extract import extract
from extractors.lake import open_lake
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids, positions


def test_backfill_adds_only_what_is_missing(buffer: Buffer, settings: Settings) -> None:
    """P-17: a full backfill reads all that is held and appends what the lake lacks."""
    expected = buffer.append_entries(6)
    extract(settings)
    with open_lake(settings) as lake:
        lake._table.delete(f"entry_id in ('{expected[1]}', '{expected[4]}')")
    # The deletion is another program's commit: the cursor of its parent still counts.
    assert len(ids(settings)) == 4
    report = extract(settings, full_backfill=True)
    assert (report.records_read, report.entries_new, report.snapshots_committed) == (6, 2, 1)
    assert ids(settings) == dict.fromkeys(expected, 1)
    assert positions(settings) == {buffer.agent_id: 6}
    with open_lake(settings) as lake:
        assert lake.snapshots()[-1].kind == "backfill"


def test_backfill_of_a_complete_lake_commits_nothing(buffer: Buffer, settings: Settings) -> None:
    """P-17: where nothing is missing nothing is committed, and no data file is left."""
    buffer.append_entries(6)
    before = extract(settings)
    files = sorted(settings.lake_folder.rglob("*"))
    report = extract(settings, full_backfill=True)
    assert (report.records_read, report.entries_new, report.snapshots_committed) == (6, 0, 0)
    assert report.snapshot_id == before.snapshot_id
    assert sorted(settings.lake_folder.rglob("*")) == files


def test_backfill_of_a_new_lake_is_an_extraction(buffer: Buffer, settings: Settings) -> None:
    """P-17: on an empty lake a full backfill brings everything, and the cursor."""
    expected = buffer.append_entries(6)
    assert extract(settings, full_backfill=True).entries_new == 6
    assert ids(settings) == dict.fromkeys(expected, 1)
    assert extract(settings).records_read == 0


def test_backfill_begins_after_what_was_pruned(buffer: Buffer, settings: Settings) -> None:
    """P-17: what is gone from the buffer is not an error for a backfill."""
    expected = buffer.append_entries(4)
    extract(settings)
    buffer.prune()
    expected += buffer.append_entries(3)
    report = extract(settings, full_backfill=True)
    assert (report.records_read, report.entries_new) == (3, 3)
    assert ids(settings) == dict.fromkeys(expected, 1)
    assert positions(settings) == {buffer.agent_id: 7}


def test_backfill_takes_each_id_once(buffer: Buffer, settings: Settings) -> None:
    """P-17: a record that the buffer holds twice is appended once."""
    row = buffer.row(b"again")
    for _ in range(2):
        buffer.append([b"again"], entry_id=row["entry_id"], byte_offset=row["byte_offset"])
    report = extract(settings, full_backfill=True)
    assert (report.records_read, report.entries_new) == (2, 1)
    assert list(ids(settings).values()) == [1]
