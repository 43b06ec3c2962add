"""Objects are compared with the store's listing; a silent store is not reported as damage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from annals.errors import DependencyError, LakeDamageError, SettingsError
from annals.lake.listing import list_objects
from annals.settings import Settings, load_settings
from loaders import data_files, entries, object_store, warehouse
from loaders.entries import DataFile
from loaders.warehouse_errors import error_for
from tests.servers.small_store import SmallStore, small_store

_FOLDER = "s3://bucket/lake/data"


@pytest.fixture
def store() -> Iterator[SmallStore]:
    """Return an empty store."""
    with small_store() as server:
        yield server


@pytest.fixture
def settings(store: SmallStore, tmp_path: Path) -> Settings:
    """Return settings of a lake in that store; its catalog is not asked here."""
    return load_settings(
        annals_home=tmp_path,
        iceberg_catalog_type="rest",
        iceberg_catalog_uri="http://127.0.0.1:9/",
        s3_endpoint=f"http://127.0.0.1:{store.server_port}",
        aws_access_key_id="key",
        aws_secret_access_key="none",  # noqa: S106 -- not a secret
    )


def test_a_listing_is_read_to_its_end(store: SmallStore, settings: Settings) -> None:
    """Names with spaces, signs and letters of any alphabet, over several pages."""
    names = ["a b.parquet", "a&b.parquet", "a+b%20.parquet", "é.parquet", "z.parquet"]
    store.objects = {f"lake/data/{name}": name.encode() for name in names}
    listed = dict(list_objects(settings, _FOLDER))
    assert sorted(listed) == sorted(f"{_FOLDER}/{name}" for name in names)
    assert {entry.size for entry in listed.values()} == {len(name.encode()) for name in names}
    assert {entry.changed_at for entry in listed.values()} == {1767323045}


@pytest.mark.parametrize("has_etags", [True, False])
def test_other_bytes_of_the_same_size_and_time_show_in_the_etag(
    store: SmallStore, settings: Settings, has_etags: bool
) -> None:
    """The object is read again and found damaged; a store without ETags is judged by the time."""
    store.has_etags = has_etags
    connection = duckdb.connect()
    path, local = f"{_FOLDER}/one.parquet", settings.annals_home / "one.parquet"
    connection.execute(f"copy (select 1 as entry_id where false) to '{local}' (format parquet)")
    whole = local.read_bytes()
    store.objects["lake/data/one.parquet"] = whole
    with warehouse.connect(settings) as found:
        data_files.make_table(found)
        entries.add_files(found, [DataFile(path, 1, 0, len(whole))], is_pending=False)
        found.execute(
            "insert into meta.file_checks values (?, ?, null, ?, now(), null)",
            [path, len(whole), data_files.content_hash([whole])],
        )
        assert data_files.verify_listed(found, settings) == 0
        assert data_files.verify_listed(found, settings) == 0
        store.objects["lake/data/one.parquet"] = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        if has_etags:
            with pytest.raises(LakeDamageError, match="one"):
                data_files.verify_listed(found, settings)
        else:
            assert data_files.verify_listed(found, settings) == 0


def test_a_refused_listing_is_a_matter_of_the_keys(store: SmallStore, settings: Settings) -> None:
    """The status of the answer decides: 403 is a setting, 503 a store that fails."""
    for status, kind in ((403, SettingsError), (503, DependencyError)):
        store.status = status
        with pytest.raises(kind, match="lake/data"):
            list(list_objects(settings, _FOLDER))


@pytest.mark.parametrize(
    "shape", ["s3://bucket/lake/a.parquet", "{endpoint}/bucket/lake/a.parquet"]
)
def test_an_object_without_a_status_is_damaged_if_its_store_is_well(
    store: SmallStore, settings: Settings, shape: str
) -> None:
    """DuckDB's class is the same for both: the store is asked, and says which of them it is."""
    address = shape.replace("{endpoint}", settings.s3_endpoint or "")
    error = duckdb.IOException(f'IO Error: could not read "{address}": connection')
    assert type(error_for("/w.db", error, settings=settings)) is LakeDamageError
    assert all("/bucket/" in request for request in store.requests)
    store.status = 403
    assert isinstance(error_for("/w.db", error, settings=settings), SettingsError)
    store.shutdown()
    store.server_close()
    assert isinstance(error_for("/w.db", error, settings=settings), DependencyError)
    assert isinstance(error_for("/w.db", error), DependencyError)


def test_a_secret_of_other_work_decides_no_store(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that DuckDB keeps in the home folder is never used, not even one for this bucket."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with contextlib.closing(duckdb.connect()) as other:
        extension = object_store.extension_file(f"v{duckdb.__version__}")
        other.execute(f"load '{extension}'")
        other.execute(
            "create persistent secret other_work (type s3, key_id 'x', secret 'x',"
            " endpoint 'other.example', scope 's3://bucket/')"
        )
    with warehouse.connect(settings) as first, warehouse.connect(settings) as second:
        for connection in (first, second):
            chosen = connection.execute(f"select name from which_secret('{_FOLDER}/a', 's3')")
            assert chosen.fetchall() == [("annals_lake",)]
