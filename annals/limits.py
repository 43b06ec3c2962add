"""Read what others made up to a limit: a size that they name is compared, never allocated.

Everything of foreign size passes here: answers over HTTP, files that a setting names, state files,
members of archives. ``tests/layout/test_limits.py`` lists what reads in another way, and why.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

STEP_BYTES = 1024 * 1024

STATE_BYTES = 16 * 1024 * 1024
"""Notes, locks and lists of ours have some kilobytes."""

ANSWER_BYTES = 32 * 1024 * 1024
"""The longest answer of an API; the largest that we ask for has some hundred kilobytes."""

METADATA_BYTES = 256 * 1024 * 1024
"""A metadata file of a lake: about one kilobyte for each snapshot."""

ANSWER_SECONDS = 30.0
"""For an answer as a whole, however slowly its pieces arrive."""


class TooLargeError(ValueError):
    """More bytes than the limit allows; nothing of that size was allocated."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than the {limit:,} bytes allowed")
        self.limit = limit


class Readable(Protocol):
    """What gives the bytes that have arrived: an HTTP answer, a buffered file."""

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes after one read of the source; none at the end."""


def parse_json(content: str | bytes) -> Any:
    """Return what JSON of others says; raise ValueError, also if it is nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_bounded(stream: IO[bytes], *, limit: int) -> bytes:
    """Return all that is left in ``stream``; raise TooLargeError if it is more than ``limit``.

    At most STEP_BYTES beyond the limit are ever read, whatever the stream says about its length.
    """
    return b"".join(_pieces(stream.read, limit))


def _pieces(read: Callable[[int], bytes], limit: int) -> Iterator[bytes]:
    size = 0
    while piece := read(STEP_BYTES):
        size += len(piece)
        if size > limit:
            raise TooLargeError(limit)
        yield piece


def read_answer(
    answer: Readable, *, limit: int = ANSWER_BYTES, seconds: float = ANSWER_SECONDS
) -> bytes:
    """Return the body of an HTTP answer.

    Raises TooLargeError above ``limit``, TimeoutError if it takes longer as a whole, and OSError.
    """
    until = time.monotonic() + seconds
    pieces: list[bytes] = []
    for piece in _pieces(answer.read1, limit):
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, f"no whole answer after {seconds:.0f} s")
        pieces.append(piece)
    return b"".join(pieces)


def read_file(path: Path, *, limit: int) -> bytes:
    """Return the content of a regular file that a user or another program names.

    A link is followed: the path is the user's own. Raises TooLargeError above ``limit``, and
    OSError, also for a folder, a FIFO or a device, which are never read from.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > limit:
            raise TooLargeError(limit)
        return read_bounded(file, limit=limit)


def copy_bounded(source: IO[bytes], target: IO[bytes], *, limit: int) -> int:
    """Copy ``source`` to ``target``; return the bytes, raise TooLargeError above ``limit``."""
    size = 0
    for piece in _pieces(source.read, limit):
        size += len(piece)
        target.write(piece)
    return size
