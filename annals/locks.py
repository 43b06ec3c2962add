"""Who holds what: an advisory lock on a file that also names its holder.

The operating system releases the lock when its process dies, however it dies, so a stale lock
never needs a human; the text in the file only says who holds it now.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from annals.errors import LockedError, SettingsError
from annals.files import make_folder, open_state_file, read_state_text
from annals.limits import parse_json

_DYING_SECONDS = 5.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock. ``started_at`` is ISO 8601 in UTC."""

    pid: int
    host: str
    role: str
    started_at: str

    @classmethod
    def this_process(cls, role: str) -> Holder:
        """Return a description of the running process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), role, now)

    def __str__(self) -> str:
        return f"{self.role} (pid {self.pid} on {self.host}, since {self.started_at})"


@contextlib.contextmanager
def exclusive(path: Path, *, role: str, what: str) -> Iterator[int]:
    """Hold the lock file at ``path`` while the body runs, and yield its descriptor.

    ``role`` describes this process to others, ``what`` names the thing that is locked. A child that
    inherits the descriptor holds the lock too. Raises LockedError (exit 7) where another process
    holds it, and at once, but for a holder that is dead and whose child is about to follow it; the
    message names that process. Raises SettingsError (exit 3) if a link, a FIFO or a file of another
    user has the name of the lock.
    """
    make_folder(path.parent, named=True)
    descriptor = open_state_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "a+", encoding="utf-8") as file:
        try:
            _lock(file, path)
        except BlockingIOError as error:
            holder = read_holder(path)
            raise LockedError(
                f"{what} is in use by {holder or 'another process'}",
                hint="Wait until it has finished, or stop that process; its lock ends with it.",
                lock=path,
                holder=holder,
            ) from error
        file.truncate(0)
        file.write(json.dumps(asdict(Holder.this_process(role))))
        file.flush()
        yield file.fileno()


def _lock(file: TextIO, path: Path) -> None:
    """Take the lock; raise BlockingIOError where somebody alive has it."""
    until = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until or not _is_dead(read_holder(path)):
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _is_dead(holder: Holder | None) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    if holder is None or holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(holder.pid)


def _is_zombie(pid: int) -> bool:
    """Return whether the process has ended and nobody has asked for its exit code yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def read_holder(path: Path) -> Holder | None:
    """Return who wrote the lock file last, or None where it cannot be told."""
    try:
        return Holder(**parse_json(read_state_text(path)))
    except (OSError, ValueError, TypeError, SettingsError):
        return None


def held_by(path: Path) -> Holder | None:
    """Return the live holder of the lock at ``path``, or None if nobody holds it."""
    try:
        with os.fdopen(open_state_file(path, os.O_RDONLY), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(path) or Holder(0, "unknown host", "another process", "an unknown time")
    except (OSError, SettingsError):
        return None
    return None
