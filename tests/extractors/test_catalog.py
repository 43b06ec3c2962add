from __future__ import annotations

import threading
from pathlib import Path

import pytest

from annals.errors import (
    AnalyticsError,
    IntegrityError,
    LakeError,
    SettingsError,
)
from annals.records import Record
from annals.settings import Settings, load_settings
from extractors.lake import open_lake
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import (
    commit,
    data_files,
    positions,
    rows,
)


def test_looking_makes_no_lake(settings: Settings) -> None:
    """Opening a lake that is not there without ``create`` says so and leaves no file behind."""
    with pytest.raises(LakeError, match="no lake") as caught:
        open_lake(settings)
    assert "extract" in caught.value.hint
    assert not settings.lake_folder.exists()


@pytest.mark.parametrize(
    "uri",
    ["nonsense", "postgresql://127.0.0.1/lake", "nobase://127.0.0.1/x", "sqlite+nodriver:///x"],
)
def test_a_database_that_cannot_be_spoken_to_is_a_wrong_setting(
    uri: str, settings: Settings
) -> None:
    """Neither a text that is not an address nor a missing driver is called a defect."""
    wrong = load_settings(annals_home=settings.annals_home, iceberg_catalog_uri=uri)
    with pytest.raises(SettingsError, match="ICEBERG_CATALOG_URI"):
        open_lake(wrong, create=True)


def test_a_lake_is_made_once(settings: Settings) -> None:
    """Of several that make the lake at the same time, all end up with the same table."""
    found: list[str] = []
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        with open_lake(settings, create=True) as lake:
            found.append(lake.table_uuid)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_lost_catalog_is_named(settings: Settings, records: list[Record]) -> None:
    """P-16: with the catalog file gone nothing is made again, and the error names the file."""
    with open_lake(settings, create=True) as lake:
        commit(lake, records, 10)
    catalog = settings.lake_folder / "catalog.db"
    aside = catalog.rename(catalog.with_name("aside"))
    before = sorted(settings.lake_folder.rglob("*"))
    for create in (True, False):
        with pytest.raises(IntegrityError, match=r"catalog\.db") as caught:
            open_lake(settings, create=create)
        assert caught.value.exit_code == 9
        assert "backup" in caught.value.hint
    assert sorted(settings.lake_folder.rglob("*")) == before
    aside.rename(catalog)
    assert positions(settings) == {"a": 10}


def test_a_catalog_that_forgot_the_table_is_refused(
    settings: Settings, records: list[Record]
) -> None:
    """P-16: an empty catalog file beside data is the same: no table is made beside data."""
    with open_lake(settings, create=True) as lake:
        commit(lake, records, 10)
    (settings.lake_folder / "catalog.db").write_bytes(b"")
    with pytest.raises(IntegrityError):
        open_lake(settings, create=True)


def test_a_creation_that_died_halfway_needs_no_human(settings: Settings) -> None:
    """P-16: metadata of a table that never was committed does not stand in the way."""
    folder = settings.lake_folder / "analytics" / "conversations" / "metadata"
    folder.mkdir(parents=True)
    (folder / "00000-00000000-0000-0000-0000-000000000000.metadata.json").write_text("{")
    with open_lake(settings, create=True) as lake:
        assert lake.info().rows == 0


def test_a_damaged_catalog_is_an_integrity_error(settings: Settings) -> None:
    """A catalog file that is not a database stops everything, and stays as it is."""
    settings.lake_folder.mkdir(parents=True)
    catalog = settings.lake_folder / "catalog.db"
    catalog.write_bytes(b"no database at all " * 500)
    with pytest.raises(IntegrityError, match="damaged"):
        open_lake(settings, create=True)
    assert catalog.read_bytes() == b"no database at all " * 500


@pytest.mark.parametrize("damage", ["remove", "truncate"])
def test_damaged_metadata_is_an_integrity_error(settings: Settings, damage: str) -> None:
    """A metadata file that is missing or cut off is named, and nothing is made in its place."""
    open_lake(settings, create=True).close()
    (metadata,) = settings.lake_folder.rglob("*.metadata.json")
    if damage == "remove":
        metadata.unlink()
    else:
        metadata.write_bytes(metadata.read_bytes()[:200])
    with pytest.raises(IntegrityError):
        open_lake(settings, create=True)


@pytest.mark.parametrize("name", ["what?", "a#b", "100%"])
def test_unusable_folder_names_are_refused(tmp_path: Path, name: str) -> None:
    """A folder whose address would mean another place is refused before anything is written."""
    settings = load_settings(iceberg_warehouse_path=tmp_path / name)
    with pytest.raises(SettingsError) as caught:
        open_lake(settings, create=True)
    assert "ICEBERG_WAREHOUSE_PATH" in caught.value.hint
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["with space", "straße", "semi;colon", "a=b&c", "[x]"])
def test_unusual_folder_names_work(
    tmp_path: Path, name: str, buffer: Buffer, records: list[Record]
) -> None:
    """Every other name of a folder is as good as any."""
    settings = load_settings(sqlite_path=buffer.path, iceberg_warehouse_path=tmp_path / name)
    with open_lake(settings, create=True) as lake:
        commit(lake, records, 10)
    assert rows(settings).num_rows == 10
    assert len(data_files(settings)) == 1


def test_an_unreachable_server_can_be_retried(settings: Settings) -> None:
    """A catalog server that does not answer is exit 4."""
    rest = load_settings(
        annals_home=settings.annals_home,
        iceberg_catalog_type="rest",
        iceberg_catalog_uri="http://127.0.0.1:9/",
    )
    with pytest.raises(AnalyticsError) as caught:
        open_lake(rest, create=True)
    assert caught.value.exit_code == 4
