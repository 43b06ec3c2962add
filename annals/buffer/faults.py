"""What SQLite and the operating system say went wrong with the buffer, as errors of the tree."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from annals.errors import AnalyticsError, DiskFullError, LocalBufferError, SettingsError
from annals.files import open_log

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REFUSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class DamagedBufferError(LocalBufferError):
    """The buffer's file is corrupt; the next sync sets it aside and salvages it."""


def suspect_file(path: Path) -> Path:
    """Return the file that whoever found the buffer at ``path`` corrupt leaves beside it.

    The next sync checks the whole buffer where it finds that file: damage among the records is
    seen by those who read them, which a sync does not.
    """
    return path.with_name(path.name + ".suspect")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about the buffer at ``path`` into the tree's errors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise
        raise _sqlite_error(path, error, code & 0xFF) from error
    except OSError as error:
        raise _system_error(path, error) from error


def _sqlite_error(path: Path, error: sqlite3.Error, code: int) -> AnalyticsError:
    is_growth = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE
    is_full = is_growth or (code == sqlite3.SQLITE_IOERR and _is_full(path))
    if code == sqlite3.SQLITE_FULL or is_full:
        return _disk_full(path)
    if code in _DAMAGED:
        with contextlib.suppress(OSError, SettingsError):
            open_log(suspect_file(path))
        return damaged(path, str(error))
    if code in _REFUSED:
        return _refused(path, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = "Another program has the buffer open for writing; close it and run again."
    else:
        hint = "Nothing that was committed is lost; check the disk and run again."
    return LocalBufferError(f"the buffer {path} refused: {error}", hint=hint, path=path)


def file_at(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at ``path``, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def displaced(path: Path) -> LocalBufferError:
    """Return the error for a buffer whose file was deleted or replaced while it was open."""
    return LocalBufferError(
        f"the buffer {path} was deleted or replaced while it was in use",
        hint="It is opened anew at that place, and what it lacks is read again; stop the agent"
        " before you move or restore its buffer.",
        path=path,
    )


def damaged(path: Path, what: str) -> DamagedBufferError:
    """Return the error for a corrupt buffer."""
    return DamagedBufferError(
        f"the buffer {path} is corrupt: {what}",
        hint="Run `annals sync once`: it sets the file aside, salvages it and reads on.",
        path=path,
    )


def _system_error(path: Path, error: OSError) -> AnalyticsError:
    if error.errno in _NO_SPACE:
        return _disk_full(path)
    return _refused(path, error.strerror or str(error))


def _refused(path: Path, why: str) -> LocalBufferError:
    return LocalBufferError(
        f"the buffer {path} cannot be written: {why}",
        hint=f"Make {path.parent} a folder this user can write, or set SQLITE_PATH elsewhere.",
        path=path,
    )


def _disk_full(path: Path) -> DiskFullError:
    return DiskFullError(
        f"no space left for the buffer {path}",
        hint="Free some space on that disk, or set SQLITE_PATH elsewhere; nothing is lost.",
        path=path,
    )


def _is_full(path: Path) -> bool:
    try:
        status = os.statvfs(path.parent)
    except OSError:
        return False
    return status.f_bavail == 0
