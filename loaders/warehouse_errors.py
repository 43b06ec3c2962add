"""DuckDB's messages as errors of our tree: locks, limits, damage, files of the lake."""

from __future__ import annotations

import re
from pathlib import Path

from annals.errors import (
    AnalyticsError,
    DiskFullError,
    LockedError,
    WarehouseDamageError,
    WarehouseError,
)
from annals.lake import object_store_fault
from annals.lake.checksums import damaged_file
from annals.text import library_words
from loaders.moved_build import CATALOG

_LOCK_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_MEMORY_USED = re.compile(r"/(?P<limit>[\d.]+ [KMGT]?i?B) used\)")
_LAKE_FILE = re.compile(r"""["'](?P<path>[^"']+\.parquet)["']""")
OBJECT_STORE = re.compile(
    r"HTTP Error: HTTP |IO Error: [^\n]* for HTTP |required extension 'httpfs'"
)
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
_NO_SPILL = "failed to offload data block"
_OUT_OF_MEMORY = "Out of Memory Error"
_CORRUPT = (
    "not a valid DuckDB database file",
    "Corrupt database file",
    "Could not read enough bytes",
    "replaying WAL",
    "Failed to deserialize",
)
NEWER = "was created with a newer version"
REBUILD_HINT = "Delete that file; `annals pipeline` rebuilds it from the lake."


def error_for(path: Path | str, message: str) -> AnalyticsError:
    """Return the error of our tree that DuckDB's ``message`` about ``path`` means."""
    words = library_words(message, path)
    if known := _limit_error(path, message, words):
        return known
    if "Could not set lock" in words:
        return _locked(path, message)
    if OBJECT_STORE.search(message) and (known := object_store_fault(message, path)):
        return known
    if found := _LAKE_FILE.search(message):
        return _damaged_parquet(found["path"], message)
    if any(text in words for text in _CORRUPT):
        return damaged_database(path, message)
    return WarehouseError(
        f"{path} cannot be used: {first_line(message)}",
        hint=REBUILD_HINT if NEWER in words else "Correct the cause that DuckDB names above.",
        path=path,
    )


def damaged_database(path: Path | str, message: str) -> WarehouseDamageError:
    """Return the error for a DuckDB file that is damaged; it is made from the lake."""
    return WarehouseDamageError(
        f"{path} is damaged: {first_line(message)}",
        hint="Run `annals pipeline`; it sets the file aside and makes it again from the lake.",
        path=path,
        damaged=True,
    )


def _damaged_parquet(path: str, message: str) -> AnalyticsError:
    """Return the error for a Parquet file, which is the lake's or one of a published build."""
    if not Path(path).with_name(CATALOG).exists():
        return damaged_file(path, first_line(message))
    return WarehouseDamageError(
        f"the build's file {path} is damaged: {first_line(message)}",
        hint="Run `annals validate --deep`, then `annals pipeline`, which publishes a whole build.",
        path=path,
    )


def _limit_error(path: Path | str, message: str, words: str) -> AnalyticsError | None:
    """Return the error for a limit of memory or of spilled data that was reached."""
    if any(text in words for text in _NO_SPACE):
        return DiskFullError(
            f"no space left while writing {path}",
            hint="Make room and run the command again; what was committed before is kept.",
            path=path,
        )
    if _NO_SPILL in words:
        return DiskFullError(
            f"no room for what memory cannot hold while writing {path}: {first_line(message)}",
            hint="Set DUCKDB_SPILL_PATH to a folder with more room or DUCKDB_SPILL_LIMIT to more,"
            " or let DUCKDB_MEMORY_LIMIT be higher. What was committed before is kept.",
            path=path,
        )
    if _OUT_OF_MEMORY not in words:
        return None
    used = _MEMORY_USED.search(message)
    limit = used["limit"] if used else "DUCKDB_MEMORY_LIMIT"
    return WarehouseError(
        f"DuckDB needs more memory than its limit ({limit}) for {path}",
        hint="Set DUCKDB_MEMORY_LIMIT to more, such as 2GB; DUCKDB_THREADS=1 needs less. Nothing"
        " is lost, and the next run begins where this one did.",
        path=path,
        limit=limit,
    )


def _locked(path: Path | str, message: str) -> LockedError:
    holder = _LOCK_HOLDER.search(message)
    who = f"{holder['program']} (pid {holder['pid']})" if holder else "another process"
    return LockedError(
        f"the warehouse {path} is held open by {who}",
        hint="Close it there, or wait; to read, open the published build instead.",
        path=path,
        pid=holder["pid"] if holder else None,
    )


def first_line(message: str) -> str:
    """Return the first line of a message."""
    return message.strip().splitlines()[0] if message.strip() else "no message"
