"""What databases, disks and networks report, in terms of the error tree."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from annals.errors import (
    AnalyticsError,
    ConflictError,
    DiskFullError,
    LakeDamageError,
    LakeError,
    LocalBufferError,
    LockedError,
    SettingsError,
)
from annals.files import open_log
from annals.lake import catalog_server_fault, object_store_fault
from annals.lake.checksums import damaged_file

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FORBIDDEN = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def sqlite_code(error: BaseException | None) -> int:
    """Return SQLite's primary result code; the extended one carries it in its low byte."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def disk_full(place: object) -> DiskFullError:
    """Return the error for a device without space."""
    return DiskFullError(
        f"no space left while writing {place}",
        hint="Make space on that disk and run the command again; everything committed is kept.",
        path=place,
    )


def buffer_fault(error: sqlite3.Error, path: Path) -> AnalyticsError:
    """Return the error for what SQLite said about the buffer at ``path``.

    Damage leaves a file ``.suspect`` beside it: a sync reads no records, so it would not notice;
    where that file is, it checks the whole buffer and replaces it (docs/specs/buffer.md).
    """
    code = sqlite_code(error)
    if code in _CORRUPT:
        with contextlib.suppress(OSError, SettingsError):
            open_log(path.with_name(path.name + ".suspect"))
    if code in _BUSY:
        return LockedError(
            f"the buffer {path} is busy: {error}",
            hint="Another process writes to it for long; run the command again after it.",
            path=path,
        )
    if code == sqlite3.SQLITE_FULL or _has_no_space(error, path):
        return disk_full(path)
    if code == sqlite3.SQLITE_IOERR:
        return LocalBufferError(
            f"the disk of the buffer {path} failed: {error}",
            hint="Check the disk and its quota, then run the command again; what was committed is"
            " kept.",
            path=path,
        )
    if code in _FORBIDDEN:
        return LocalBufferError(
            f"the buffer {path} cannot be opened: {error}",
            hint="Check that this user may read and write the file and the folder it is in.",
            path=path,
        )
    return LocalBufferError(
        f"the buffer {path} cannot be used: {error}",
        hint="Run `sync once`; it sets a damaged buffer aside and keeps what can be read.",
        path=path,
    )


def _has_no_space(error: sqlite3.Error, path: Path) -> bool:
    """Return whether an I/O error means a disk or a quota without space."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the one growth that SQLite does not call FULL
        return True
    if code & 0xFF != sqlite3.SQLITE_IOERR:
        return False
    with contextlib.suppress(OSError):
        return os.statvfs(path.parent).f_bavail == 0
    return False


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


def lake_fault(error: OSError, place: object) -> AnalyticsError:
    """Return the error for what happened while files of the lake were read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(place)
    if isinstance(error, FileNotFoundError):
        return damaged_file(error.filename or place, str(error))
    if isinstance(error, ConnectionError) or type(error).__module__.startswith("requests."):
        return catalog_server_fault(error, place)
    if known := object_store_fault(str(error), place):
        return known
    return LakeError(
        f"the lake {place} cannot be read or written: {error}",
        hint="Check that the folder exists, is mounted and can be written by this user.",
        path=place,
    )


def unreadable_metadata(error: Exception, place: object) -> LakeDamageError:
    """Return the error for a table whose metadata file is damaged."""
    return damaged_file(place, f"{type(error).__name__}: {error}")
