"""A stop is explained with the file that failed, and with what helps there."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path

import duckdb
import pytest

from annals.buffer.faults import buffer_fault
from annals.errors import DiskFullError, IntegrityError, LocalBufferError, WarehouseError
from annals.settings import load_settings
from loaders.build_faults import build_errors, full_disk
from loaders.warehouse import error_for


def _io_error(text: str, number: int) -> duckdb.IOException:
    """Return an error as DuckDB raises it for a number of the system."""
    details = {"exception_type": "IO", "exception_message": text, "errno": str(number)}
    return duckdb.IOException(f"IO Error: {json.dumps(details)}")


def test_a_file_of_a_build_is_not_taken_for_the_lakes(tmp_path: Path) -> None:
    """EIO at a build's own Parquet file names the build and PUBLISH_PATH (exit 1)."""
    settings = load_settings(annals_home=tmp_path)
    path = settings.builds_folder / "builds" / "X.tmp" / "dim_dates.parquet"
    error = _io_error(f"Could not write file '{path}': Input/output error", errno.EIO)
    with pytest.raises(WarehouseError, match="build's file") as caught, build_errors(settings):
        raise error_for(settings.warehouse_file, error)
    assert caught.value.context["path"] == path
    assert "PUBLISH_PATH" in caught.value.hint


def test_a_file_of_the_lake_stays_one(tmp_path: Path) -> None:
    """The same error at a data file of the lake is exit 9."""
    settings = load_settings(annals_home=tmp_path)
    error = _io_error(f"Cannot open file '{settings.lake_folder}/data/a.parquet'", errno.ENOENT)
    with pytest.raises(IntegrityError, match=r"lake's (data )?file"), build_errors(settings):
        raise error_for(settings.warehouse_file, error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_by_the_file_that_did_not_fit(number: int, tmp_path: Path) -> None:
    """The system says which file; the warehouse, with space on its disk, is not blamed."""
    wrapped = RuntimeError("wrapped by a library")
    wrapped.__cause__ = OSError(number, "full", str(tmp_path / "target" / "manifest.json"))
    found = full_disk(wrapped, tmp_path)
    assert isinstance(found, DiskFullError)
    assert "manifest.json" in found.message
    assert full_disk(ValueError("No space left on device"), tmp_path) is None


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (sqlite3.SQLITE_FULL, DiskFullError, "no space"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, DiskFullError, "no space"),
        (sqlite3.SQLITE_IOERR_WRITE, LocalBufferError, "disk of the buffer"),
        (sqlite3.SQLITE_IOERR_READ, LocalBufferError, "disk of the buffer"),
    ],
)
def test_a_disk_that_fails_is_not_a_damaged_buffer(
    code: int, kind: type[Exception], word: str, tmp_path: Path
) -> None:
    """By SQLite's code, and never with the hint to set the buffer aside."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    found = buffer_fault(error, tmp_path / "buffer.db")
    assert isinstance(found, kind)
    assert word in found.message
    assert "sync once" not in found.hint
