"""Load: what is new in the lake becomes visible, once, whatever happened to the lineage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from annals.errors import IntegrityError, LakeError
from annals.settings import Settings
from loaders import entries, warehouse
from loaders.load import LoadReport, load


def _fetch(settings: Settings, query: str) -> list[Any]:
    with warehouse.connect(settings) as connection:
        return connection.execute(query).fetchall()


def _counts(settings: Settings) -> tuple[int, int]:
    """Return the rows that the raw views show: all, and the pending ones."""
    (row,) = _fetch(
        settings,
        "select (select count(*) from raw.records), (select count(*) from raw.new_records)",
    )
    return row


def _clear(settings: Settings) -> None:
    with warehouse.connect(settings) as connection, warehouse.transaction(connection):
        entries.clear_pending(connection)


def _is_rebuild_due(settings: Settings) -> bool:
    with warehouse.connect(settings) as connection:
        return warehouse.state(connection, warehouse.REBUILD) is not None


def test_no_lake_is_nothing(settings: Settings) -> None:
    """Without a lake there is nothing to load, and the views are there and empty."""
    assert load(settings) == LoadReport(0, 0, 0, None)
    assert _counts(settings) == (0, 0)


def test_views_have_the_columns_of_the_lake(settings: Settings, lake: Any) -> None:
    """The views have the same columns and types whether or not there is data."""
    load(settings)
    empty = _fetch(settings, "describe raw.records")
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    assert _fetch(settings, "describe raw.records") == empty
    assert [(row[0], row[1].lower()) for row in empty] == [
        (name, {"timestamptz": "timestamp with time zone"}.get(kind, kind))
        for name, kind in entries.COLUMNS.items()
    ]


def test_new_files_become_visible(settings: Settings, lake: Any) -> None:
    """Rows of a new snapshot show in both views, and their sessions are pending."""
    snapshot = lake.append(lake.entry("s1", {"a": 1}), lake.entry("s2", {"a": 2}))
    assert load(settings) == LoadReport(1, 2, 2, snapshot)
    assert _counts(settings) == (2, 2)
    assert sorted(_fetch(settings, "from meta.pending_sessions")) == [("s1",), ("s2",)]


def test_only_new_files_are_scanned(settings: Settings, lake: Any) -> None:
    """A second load reads the files of the snapshots since the first one, and no other."""
    lake.append(*[lake.entry(f"s{number}", {"a": number}) for number in range(50)])
    load(settings)
    _clear(settings)
    lake.append(lake.entry("s7", {"a": "more"}))
    snapshot = lake.append(lake.entry("s8", {"a": "more"}))
    assert load(settings) == LoadReport(2, 2, 2, snapshot)
    assert _counts(settings) == (52, 2)


def test_nothing_new_writes_nothing(settings: Settings, lake: Any) -> None:
    """Where nothing is new, not one byte of the warehouse changes."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    before = settings.warehouse_file.read_bytes()
    assert load(settings).files_new == 0
    assert settings.warehouse_file.read_bytes() == before


def test_pending_stays_until_transformed(settings: Settings, lake: Any) -> None:
    """What was loaded and not transformed stays pending through further loads."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    lake.append(lake.entry("s2", {"a": 1}))
    assert load(settings).sessions_pending == 2
    assert _counts(settings) == (2, 2)


def test_only_entries_make_a_session_pending(settings: Settings, lake: Any) -> None:
    """A file record or quarantined bytes change no session."""
    lake.append(
        lake.entry("s1", "{}", record_kind="file"),
        lake.entry("s2", "broken", record_kind="quarantine", raw_binary=b"\xff"),
    )
    assert load(settings).sessions_pending == 0
    assert _counts(settings) == (2, 2)


def test_rollback_drops_files_and_rebuilds(settings: Settings, lake: Any) -> None:
    """After a rollback the views show the older state, and everything is to be built again."""
    older = lake.append(lake.entry("s1", {"a": 1}))
    lake.append(lake.entry("s2", {"a": 2}))
    load(settings)
    _clear(settings)
    lake.rollback(older)
    assert load(settings) == LoadReport(0, 0, 0, older)
    assert _counts(settings) == (1, 0)
    assert _is_rebuild_due(settings)


def test_append_after_rollback_is_found(settings: Settings, lake: Any) -> None:
    """What is appended after a rollback is new, although the cursor is not an ancestor of it."""
    older = lake.append(lake.entry("s1", {"a": 1}))
    lake.append(lake.entry("s2", {"a": 2}))
    load(settings)
    _clear(settings)
    lake.rollback(older)
    newer = lake.append(lake.entry("s3", {"a": 3}))
    assert load(settings) == LoadReport(1, 1, 1, newer)
    assert _counts(settings) == (2, 1)


def test_marked_compaction_brings_nothing_new(settings: Settings, lake: Any) -> None:
    """A compaction that is marked as maintenance only moves the views to its files."""
    lake.append(lake.entry("s1", {"a": 1}))
    lake.append(lake.entry("s2", {"a": 2}))
    load(settings)
    _clear(settings)
    head = lake.compact(marked=True)
    assert load(settings) == LoadReport(0, 0, 0, head)
    assert _counts(settings) == (2, 0)
    assert not _is_rebuild_due(settings)


def test_appends_around_a_marked_compaction_are_new(settings: Settings, lake: Any) -> None:
    """Snapshots after the compaction are new, the compacted rows are not."""
    lake.append(lake.entry("s1", {"a": 1}))
    lake.append(lake.entry("s2", {"a": 2}))
    load(settings)
    _clear(settings)
    lake.compact(marked=True)
    head = lake.append(lake.entry("s3", {"a": 3}))
    assert load(settings) == LoadReport(1, 1, 1, head)
    assert _counts(settings) == (3, 1)


@pytest.mark.parametrize("is_loaded", [True, False])
def test_compacting_what_is_pending_loses_nothing(
    settings: Settings, lake: Any, *, is_loaded: bool
) -> None:
    """Rows that were compacted before they were transformed stay pending in their new file."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    _clear(settings)
    lake.append(lake.entry("s2", {"a": 2}))
    if is_loaded:
        load(settings)
    lake.compact(marked=True)
    load(settings)
    assert _counts(settings)[0] == 2
    assert ("s2",) in _fetch(settings, "select session_id from raw.new_records")


def test_unmarked_compaction_delivers_again(settings: Settings, lake: Any) -> None:
    """Another engine's compaction may hide new rows, so all of its files count as new."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    _clear(settings)
    lake.compact(marked=False)
    load(settings)
    assert _counts(settings) == (1, 1)
    assert _is_rebuild_due(settings)


def test_expired_cursor_is_no_gap(settings: Settings, lake: Any) -> None:
    """Where the cursor's snapshot is expired, files are compared instead."""
    cursor = lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    _clear(settings)
    lake.append(lake.entry("s2", {"a": 2}))
    head = lake.append(lake.entry("s3", {"a": 3}))
    lake.table.maintenance.expire_snapshots().by_id(cursor).commit()
    assert load(settings) == LoadReport(2, 2, 2, head)
    assert _counts(settings) == (3, 2)
    assert not _is_rebuild_due(settings)


def test_another_table_replaces_the_rows(settings: Settings, lake: Any) -> None:
    """A table with another UUID is another lake: its rows are new, the old ones gone."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    _clear(settings)
    lake.replace_table()
    lake.append(lake.entry("s2", {"a": 2}))
    load(settings)
    assert _fetch(settings, "select session_id from raw.records") == [("s2",)]
    assert _is_rebuild_due(settings)


def test_missing_catalog_beside_data_is_refused(settings: Settings, lake: Any) -> None:
    """Data without its catalog is an integrity error, never an empty lake."""
    lake.append(lake.entry("s1", {"a": 1}))
    (settings.lake_folder / "catalog.db").unlink()
    with pytest.raises(IntegrityError, match="does not know the table") as caught:
        load(settings)
    assert caught.value.exit_code == 9
    assert "backup" in caught.value.hint


def test_vanished_lake_is_refused(settings: Settings, lake: Any) -> None:
    """A lake that is gone is an integrity error: the warehouse is not emptied for it."""
    lake.append(lake.entry("s1", {"a": 1}))
    load(settings)
    shutil.rmtree(settings.lake_folder)
    with pytest.raises(IntegrityError, match="is gone"):
        load(settings)
    assert _fetch(settings, "select count(*) from meta.data_files") == [(1,)]


def test_damaged_catalog_is_refused(settings: Settings, lake: Any) -> None:
    """A catalog that is not a database is an integrity error that names it."""
    lake.append(lake.entry("s1", {"a": 1}))
    catalog = settings.lake_folder / "catalog.db"
    catalog.write_bytes(b"no database at all " * 100)
    with pytest.raises(IntegrityError, match=r"catalog\.db is missing or damaged"):
        load(settings)


def test_directory_as_catalog_is_refused(settings: Settings) -> None:
    """A catalog that cannot be opened is an error that names it."""
    (settings.lake_folder / "catalog.db").mkdir(parents=True)
    with pytest.raises(LakeError, match=r"catalog\.db cannot be read"):
        load(settings)


def test_missing_metadata_is_refused(settings: Settings, lake: Any) -> None:
    """A catalog that names metadata that is not there is an integrity error."""
    lake.append(lake.entry("s1", {"a": 1}))
    for path in settings.lake_folder.rglob("*.metadata.json"):
        path.unlink()
    with pytest.raises(IntegrityError, match=r"metadata\.json is missing or damaged"):
        load(settings)


def _only_data_file(settings: Settings) -> Path:
    (path,) = settings.lake_folder.rglob("*.parquet")
    return path


def test_missing_data_file_is_named(settings: Settings, lake: Any) -> None:
    """A data file that is not on disk is an integrity error that names it; nothing is loaded."""
    lake.append(lake.entry("s1", {"a": 1}))
    path = _only_data_file(settings)
    path.unlink()
    with pytest.raises(IntegrityError, match=path.name):
        load(settings)
    assert _fetch(settings, "select count(*) from meta.load_cursor") == [(0,)]


def test_truncated_data_file_is_named(settings: Settings, lake: Any) -> None:
    """A data file of another size than its manifest says is an integrity error."""
    lake.append(lake.entry("s1", {"a": 1}))
    path = _only_data_file(settings)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="bytes instead of"):
        load(settings)


def test_garbled_data_file_is_named(settings: Settings, lake: Any) -> None:
    """A data file that is not a Parquet is an integrity error, and the transaction is undone."""
    lake.append(lake.entry("s1", {"a": 1}))
    path = _only_data_file(settings)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(IntegrityError, match=path.name):
        load(settings)
    assert _fetch(settings, "select count(*) from meta.data_files") == [(0,)]


@pytest.mark.parametrize("folder", ["it's here", "with [brackets] *", "ünï cödé"])
def test_odd_folder_names_work(
    settings: Settings, make_lake: type, tmp_path: Path, folder: str
) -> None:
    """Quotes, glob characters and letters of any script in the lake's path are just names."""
    odd = settings.model_copy(update={"annals_home": tmp_path / folder})
    maker = make_lake(odd)
    maker.append(maker.entry("s1", {"a": 1}))
    maker.append(maker.entry("s1", {"a": 2}))
    load(odd)
    assert _counts(odd) == (2, 2)
