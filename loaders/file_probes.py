"""Look at a file itself, if a library does not say by number what is wrong with it."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from annals.lake.content import hash_file, named_hash

_LEAST_ROOM = 1024 * 1024
_HEAD = struct.Struct("<8x4sQ")  # a checksum, the magic, the version of the format
_MAGIC = b"DUCK"
NEWEST_FORMAT = 68
"""The newest version of DuckDB's files that the pinned DuckDB writes."""

# struct flock: its fields have another order on macOS.
_IS_MACOS = sys.platform == "darwin"
_LOCK = struct.Struct("qqihh" if _IS_MACOS else "hhqqi4x")


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The process that holds a lock on a file; its program is empty if it cannot be read."""

    pid: int
    program: str = ""

    def __str__(self) -> str:
        return f"{self.program or 'another process'} (pid {self.pid})"


def lock_holder(path: Path, *, shared: bool) -> LockHolder | None:
    """Return who keeps this process from locking the file at ``path``, or None.

    Never for a file that this process has open: with the descriptor its own locks would end.
    """
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    fields = (0, 0, 0, kind, os.SEEK_SET) if _IS_MACOS else (kind, os.SEEK_SET, 0, 0, 0)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, _LOCK.pack(*fields)))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    found, pid = (answer[3], answer[2]) if _IS_MACOS else (answer[0], answer[4])
    return None if found == fcntl.F_UNLCK else LockHolder(pid, _program(pid))


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 -- a text to show, no path to use
    except OSError:
        return ""


def has_room(folder: Path) -> bool:
    """Return whether the disk of ``folder`` has room for at least a block and a name."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return True
    has_names = found.f_files == 0 or found.f_favail > 0
    return found.f_bavail * found.f_frsize >= _LEAST_ROOM and has_names


def read_fault(path: Path) -> str | None:
    """Return why the system does not give the first and the last byte of a file, or None."""
    try:
        with path.open("rb") as file:
            file.read(1)
            file.seek(-1, os.SEEK_END)
            file.read(1)
    except OSError as error:
        return None if path.is_file() and not path.stat().st_size else str(error.strerror or error)
    return None


def is_newer_database(path: Path) -> bool:
    """Return whether a newer DuckDB wrote the file at ``path``, by the version in its head."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
    except OSError:
        return False
    if len(head) < _HEAD.size:
        return False
    magic, version = _HEAD.unpack(head)
    return bool(magic == _MAGIC and NEWEST_FORMAT < version < 2 * NEWEST_FORMAT)


def is_damaged_parquet(path: str) -> bool:
    """Return whether a Parquet file on this machine is missing or is not what was written.

    One that does not carry its hash in its name is read to its end.
    """
    file = Path(path)
    if not file.is_file():
        return True
    if wanted := named_hash(path):
        try:
            return hash_file(file) != wanted
        except OSError:
            return True
    try:
        with duckdb.connect() as connection:
            connection.execute("select count(hash(found)) from read_parquet(?) as found", [path])
    except duckdb.Error:
        return True
    return False
