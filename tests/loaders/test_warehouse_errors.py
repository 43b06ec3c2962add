"""What DuckDB raises becomes an error of the tree by class, number, status or a look at files."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.errors import (
    AnalyticsError,
    DependencyError,
    DiskFullError,
    IntegrityError,
    LakeDamageError,
    LockedError,
    SettingsError,
    WarehouseDamageError,
    WarehouseError,
)
from annals.settings import Settings, load_settings
from loaders import warehouse
from loaders.file_probes import NEWEST_FORMAT, has_room
from loaders.warehouse_errors import error_for

WORDS = (
    *("No space left on device", "Could not set lock", "Corrupt database file", "AWS Error"),
    *("Out of Memory Error", "AWS Error ACCESS_DENIED", "NoSuchBucket", "(HTTP 403 ", "'", "x"),
)


def raised(run: Callable[[], object]) -> duckdb.Error:
    """Return what DuckDB raises."""
    with pytest.raises(duckdb.Error) as caught:
        run()
    return caught.value


def named(query: str, *, read: bool = True) -> duckdb.Error:
    """Return what a connection raises that names its errors, as those of the pipeline do."""
    with duckdb.connect() as connection:
        connection.execute("set errors_as_json = true")
        connection.execute("set autoinstall_known_extensions = false")
        return raised(lambda: connection.execute(query).fetchall() if read else None)


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
def test_no_words_decide(words: list[str]) -> None:
    """Whatever a value, a file or a sentence holds, a binder's error is that of a binder."""
    text = " ".join(words)
    error = duckdb.BinderException(f"Binder Error: {text} is unknown")
    assert type(error_for(f"/data/{text}/w.db", error)) is WarehouseError


def test_a_full_disk_is_told_by_its_number(tmp_path: Path) -> None:
    """DuckDB names the number of the system beside its sentence."""
    details = '{"exception_type":"IO","exception_message":"something","errno":"%d"}'
    for number in (28, 122):
        error = duckdb.IOException("IO Error: " + details % number)
        assert type(error_for(tmp_path / "w.db", error)) is DiskFullError
    plain = duckdb.IOException("IO Error: No space left on device")
    assert type(error_for(tmp_path / "w.db", plain)) is WarehouseError


def test_a_file_of_the_lake_is_looked_at(tmp_path: Path) -> None:
    """Missing and damaged files are named; one that is whole is not blamed."""
    path = tmp_path / "a.parquet"
    read = f"select * from read_parquet('{path}')"
    assert type(error_for("/x", named(read))) is LakeDamageError
    duckdb.sql("select range a, md5(range::varchar) b from range(20000)").write_parquet(str(path))
    content = bytearray(path.read_bytes())
    content[2000:2600] = bytes(600)
    path.write_bytes(bytes(content))
    found = error_for("/x", named(f"select sum(a), max(b) from ({read})"))
    assert type(found) is LakeDamageError
    assert found.context["path"] == str(path)
    assert "{" not in found.message
    duckdb.sql("select 1 as a").write_parquet(str(path))
    whole = duckdb.InvalidInputException(f'Invalid Input Error: "{path}" does not suit me')
    assert type(error_for("/x", whole)) is WarehouseError


def test_a_lock_is_told_by_its_holder(settings: Settings) -> None:
    """Who holds it is asked of the system: program and process id are in the message."""
    with warehouse.connect(settings):
        pass
    place = str(settings.warehouse_file)
    code = f"import duckdb;c=duckdb.connect({place!r});print(1,flush=True);input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LockedError) as caught, warehouse.connect(settings):
            pass
        assert caught.value.context["pid"] == other.pid
        assert f"(pid {other.pid})" in caught.value.message
        with pytest.raises(LockedError), warehouse.connect(settings, read_only=True):
            pass
        other.communicate(b"\n")
    with warehouse.connect(settings):
        pass


def test_a_newer_file_is_told_by_its_version(settings: Settings) -> None:
    """The version is in the file's head; a whole file of a newer DuckDB is not damaged."""
    newest = settings.warehouse_file
    newest.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{newest}' as made (storage_version 'latest')")
    content = bytearray(newest.read_bytes())
    assert struct.unpack_from("<Q", content, 12)[0] == NEWEST_FORMAT
    struct.pack_into("<Q", content, 12, NEWEST_FORMAT + 1)
    newest.write_bytes(bytes(content))
    with pytest.raises(WarehouseError) as caught, warehouse.connect(settings):
        pass
    assert type(caught.value) is WarehouseError
    assert "newer DuckDB" in caught.value.message


@pytest.mark.parametrize("where", ["cut", "flipped", "zeroed", "words"])
def test_damage_of_the_database_is_what_is_left(where: str, settings: Settings) -> None:
    """A file that may be read, is not locked and does not open, is damaged (exit 9)."""
    with warehouse.connect(settings) as connection:
        connection.execute("create table meta.big as select md5(range::text) h from range(50000)")
    path = settings.warehouse_file
    content = bytearray(path.read_bytes())
    if where == "cut":
        content = content[: len(content) // 2]
    elif where == "zeroed":
        content = bytearray(len(content))
    elif where == "words":
        content[8:12] = b"Lock"
    else:
        content[12288 + 9] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WarehouseDamageError), warehouse.connect(settings) as connection:
        connection.execute("select max(h) from meta.big").fetchall()


def test_a_file_that_may_not_be_read_is_not_damaged(settings: Settings) -> None:
    """A folder in its place, which no right opens, is named as it is and never set aside."""
    settings.warehouse_file.mkdir(parents=True)
    with pytest.raises(AnalyticsError) as caught, warehouse.connect(settings):
        pass
    assert not isinstance(caught.value, IntegrityError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, SettingsError), (403, SettingsError), (404, IntegrityError), (503, DependencyError)],
)
def test_an_object_store_is_judged_by_its_status(status: int, kind: type[Exception]) -> None:
    """What the store answers decides; the sentence of its body says something else on purpose."""
    error = duckdb.HTTPException("HTTP Error: AWS Error NO_SUCH_BUCKET No space left on device")
    error.status_code = status
    error.body = ""
    assert type(error_for("s3://b/x", error)) is kind


def test_a_missing_bucket_is_told_by_its_code() -> None:
    """S3's own code is in the body of the answer."""
    error = duckdb.HTTPException("HTTP Error: something")
    error.status_code = 404
    error.body = "<Error><Code>NoSuchBucket</Code></Error>"
    found = error_for("s3://b/x", error)
    assert isinstance(found, SettingsError)
    assert "Make it in the object store" in found.hint


def test_files_in_a_store_that_is_not_set_are_a_setting() -> None:
    """DuckDB's type of the error says that an extension is missing."""
    found = error_for("/w.db", named("select * from read_parquet('s3://b/x.parquet')"))
    assert isinstance(found, SettingsError)
    assert "ICEBERG_CATALOG_TYPE" in found.hint


def test_an_error_of_the_system_keeps_its_cause(tmp_path: Path) -> None:
    """An OSError is told by its number, and names the file that the system named."""
    full = OSError(28, os.strerror(28), str(tmp_path / "a"))
    assert type(error_for(tmp_path / "w.db", full)) is DiskFullError
    other = error_for(tmp_path / "w.db", OSError(5, os.strerror(5), str(tmp_path / "a")))
    assert type(other) is WarehouseError
    assert str(tmp_path / "a") in other.message


def test_memory_and_room_are_told_apart_by_the_disk(tmp_path: Path) -> None:
    """Less room than memory is a disk to make room on; else memory has to be given."""
    error = duckdb.OutOfMemoryException("Out of Memory Error: could not (1.0 MiB/2.0 MiB used)")
    given = {"annals_home": tmp_path, "duckdb_memory_limit": "100MB"}
    narrow = load_settings(**given, duckdb_spill_limit="20MB")
    wide = load_settings(**given, duckdb_spill_limit="20GB")
    assert isinstance(error_for("/w.db", error, settings=narrow), DiskFullError)
    memory = error_for("/w.db", error, settings=wide)
    if has_room(tmp_path):
        assert memory.context["limit"] == "2.0 MiB"
