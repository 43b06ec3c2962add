"""Opens a transcript that was listed, and nothing else (docs/specs/reader.md, R-41)."""

from __future__ import annotations

import errno
import os
import stat

from sync_agent.paths import Found, signed

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


class SwappedError(OSError):
    """Another file or a link has taken the place of a transcript since it was listed."""

    def __init__(self, path: bytes) -> None:
        super().__init__(errno.ELOOP, "a link took its place after it was listed", path)


def open_transcript(found: Found) -> tuple[int, Found]:
    """Open a listed transcript; return the descriptor, and the file as it is now.

    The last part of the path is never followed as a link. A file that was replaced by another
    regular file at the same place is opened. Raises SwappedError if a link took its place or that
    of a folder above it, FileNotFoundError if it is gone or not a regular file any more (a FIFO or
    device does not block), and OSError if it may not be read.
    """
    path = found.real or found.path
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise SwappedError(found.path) from error
        if error.errno == errno.ENXIO:  # a socket, or a FIFO without a writer
            raise _not_regular() from error
        raise
    try:
        status = _status_of_listed(descriptor, found, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, Found.of(found.path, status)._replace(real=found.real)


def _status_of_listed(descriptor: int, found: Found, path: bytes) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular()
    is_listed = (signed(status.st_dev), signed(status.st_ino)) == (found.device, found.inode)
    if not is_listed and _leads_elsewhere(path):
        raise SwappedError(found.path)
    return status


def _not_regular() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "it is not a regular file any more")


def _leads_elsewhere(path: bytes) -> bool:
    """Return whether a part of ``path`` is a link now; listed real paths have none."""
    return os.path.realpath(path) != path
