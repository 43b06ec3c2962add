"""What SQLite and the operating system say went wrong with the buffer, as errors of the tree."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from annals.errors import (
    AnalyticsError,
    DiskFullError,
    LocalBufferError,
    LockedError,
    SettingsError,
)
from annals.files import open_log

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


class DamagedBufferError(LocalBufferError):
    """The buffer's file is corrupt; the next sync sets it aside and salvages it."""


class MissingBufferError(LocalBufferError):
    """No buffer exists at that place, or no sync has filled it."""


def suspect_file(path: Path) -> Path:
    """Return the marker file of a buffer at ``path`` that was found corrupt.

    The next sync checks the whole buffer where it finds that file: damage among the records is
    seen by those who read them, which a sync does not.
    """
    return path.with_name(path.name + ".suspect")


def missing_buffer(path: Path) -> MissingBufferError:
    """Return the error for a buffer that does not exist, or that no sync has filled yet."""
    return MissingBufferError(
        f"there is no buffer at {path}",
        hint="Run `annals sync once` first, or set SQLITE_PATH to your sync agent's buffer.",
        path=path,
    )


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about the buffer at ``path`` into the tree's errors."""
    try:
        with sqlite_translated(path):
            yield
    except OSError as error:
        if not _is_about(path, error):
            raise
        raise _system_error(path, error) from error


@contextlib.contextmanager
def sqlite_translated(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the buffer at ``path`` into the tree's errors.

    Use it if the body also writes to standard output: errors of the output stay as they are.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) is None:
            raise  # a misuse of the library, not a fault of the file
        raise buffer_fault(error, path) from error


def sqlite_code(error: BaseException | None) -> int:
    """Return SQLite's primary result code; the extended one carries it in its low byte."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def buffer_fault(error: sqlite3.Error, path: Path) -> AnalyticsError:
    """Return the error for what SQLite reported about the buffer at ``path``.

    The one mapping for every program that opens the buffer. Damage leaves a file ``.suspect``
    beside it: a sync reads no records, so it would not notice; if that file exists, it checks the
    whole buffer and replaces it (docs/specs/buffer.md).
    """
    code = sqlite_code(error)
    if code in _DAMAGED:
        with contextlib.suppress(OSError, SettingsError):
            open_log(suspect_file(path))
        return damaged(path, str(error))
    if code in _BUSY:
        return LockedError(
            f"the buffer {path} is busy: {error}",
            hint="Another process writes to it for long; run the command again after it.",
            path=path,
        )
    if code == sqlite3.SQLITE_FULL or _has_no_space(error, path):
        return _disk_full(path)
    if code == sqlite3.SQLITE_IOERR:
        return LocalBufferError(
            f"the disk of the buffer {path} failed: {error}",
            hint="Check the disk and its quota, then run the command again; everything that was"
            " committed is kept.",
            path=path,
        )
    if code in _REFUSED:
        return _refused(path, str(error))
    return LocalBufferError(
        f"the buffer {path} refused: {error}",
        hint="Run `annals sync once`: it sets a damaged buffer aside and salvages it.",
        path=path,
    )


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
        hint="It is opened again at that place, and what it lacks is read again; stop the agent"
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


def _is_about(path: Path, error: OSError) -> bool:
    """Return whether the system's error is about the buffer, its folder or one above it."""
    if not isinstance(error.filename, str | bytes):
        return True
    file = Path(os.fsdecode(error.filename))
    return file.is_relative_to(path.parent) or path.is_relative_to(file)


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


def _has_no_space(error: sqlite3.Error, path: Path) -> bool:
    """Return whether an I/O error means a disk or a quota without space."""
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return True  # the one growth that SQLite does not report as FULL
    if sqlite_code(error) != sqlite3.SQLITE_IOERR:
        return False
    with contextlib.suppress(OSError):
        return os.statvfs(path.parent).f_bavail == 0
    return False
