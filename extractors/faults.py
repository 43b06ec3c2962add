"""What databases, disks and networks report, in terms of the error tree."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from annals.buffer.faults import sqlite_code
from annals.errors import (
    AnalyticsError,
    ConflictError,
    DiskFullError,
    LakeDamageError,
    LakeError,
)
from annals.lake import catalog_server_fault, table_store_fault
from annals.lake.checksums import damaged_file

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def disk_full(place: object) -> DiskFullError:
    """Return the error for a device without space."""
    return DiskFullError(
        f"no space left while writing {place}",
        hint="Make space on that disk and run the command again; everything committed is kept.",
        path=place,
    )


def catalog_fault(error: BaseException, place: object) -> AnalyticsError:
    """Return the error for what the catalog's database said; its driver's error is the cause."""
    code = sqlite_code(getattr(error, "orig", None))
    if code in _BUSY:
        return ConflictError(
            f"the catalog of the lake {place} is busy",
            hint="Another process commits to the lake; run the command again.",
            path=place,
        )
    if code == sqlite3.SQLITE_FULL:
        return disk_full(place)
    if code in _CORRUPT:
        return damaged_file(place, f"its catalog cannot be read: {getattr(error, 'orig', error)}")
    return LakeError(
        f"the catalog of the lake {place} refused: {getattr(error, 'orig', error)}",
        hint="Check ICEBERG_CATALOG_URI, and that its folder can be written.",
        path=place,
    )


def lake_fault(error: OSError, place: object, table: Any = None) -> AnalyticsError:
    """Return the error for what happened while files of the lake were read or written.

    ``table`` is Iceberg's, if it is known: its object store is asked what is wrong.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(place)
    if isinstance(error, ConnectionError) or type(error).__module__.startswith("requests."):
        return catalog_server_fault(error, place)
    if known := table_store_fault(table, error, place):
        return known
    if isinstance(error, FileNotFoundError):
        return damaged_file(error.filename or place, str(error))
    return LakeError(
        f"the lake {place} cannot be read or written: {error}",
        hint="Check that the folder exists, is mounted and can be written by this user.",
        path=place,
    )


def unreadable_metadata(error: Exception, place: object) -> LakeDamageError:
    """Return the error for a table whose metadata file is damaged."""
    return damaged_file(place, f"{type(error).__name__}: {error}")
