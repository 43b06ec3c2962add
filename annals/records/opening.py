"""Open transcripts and their folders without following links. Standard library only.

A *real path* is absolute and had no link in any of its parts when it was resolved. Links are
followed once, when a path is resolved; after that no part may be a link, so that a program that
swaps a folder and a link can never have a foreign file read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from annals.records.identity import original_name

READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_NO_LINK_ANYWHERE = getattr(os, "O_NOFOLLOW_ANY", 0)
"""macOS refuses a link in any part of a path by itself."""

_DESCRIPTORS = b"/proc/self/fd/%d"


class SwappedError(OSError):
    """Another file or a link has taken the place of a transcript since it was listed."""

    def __init__(self, path: bytes) -> None:
        super().__init__(errno.ELOOP, "a link took its place after it was listed", path)


def open_real(path: bytes, flags: int) -> int:
    """Open a real path and return the descriptor; no part of the path is followed as a link.

    Raises SwappedError if a part of it is a link now, and OSError.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | _NO_LINK_ANYWHERE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) or _is_link(error, path):
            raise SwappedError(path) from error
        raise
    if _NO_LINK_ANYWHERE or _is_at(descriptor, path):
        return descriptor
    # The kernel names another place, or none: going down part by part decides.
    os.close(descriptor)
    return open_by_parts(path, flags)


def open_by_parts(path: bytes, flags: int) -> int:
    """Open a real path part by part, each below the folder that was opened before it."""
    *folders, name = [part for part in path.split(b"/") if part] or [b"."]
    descriptor = os.open(b"/", _PASS)
    try:
        for folder in folders:
            below = _open_part(folder, _PASS, descriptor, path)
            os.close(descriptor)
            descriptor = below
        return _open_part(name, flags, descriptor, path)
    finally:
        os.close(descriptor)


def real_path_below(path: bytes, bases: Iterable[bytes]) -> bytes:
    """Resolve the links of ``path`` once; return its real path.

    Raises SwappedError unless that lies below one of the ``bases``, which are resolved too.
    """
    real = os.path.realpath(path)
    if any(is_inside(real, os.path.realpath(base)) for base in bases):
        return real
    raise SwappedError(path)


def open_known(path: bytes, key: bytes) -> int:
    """Open the transcript that was read at ``path`` before, and return its descriptor.

    ``key`` is the path below its project folder. Links may lead to the project folder, and from
    there to places below the project folder or the folder that holds it, never out of these.
    Raises SwappedError, FileNotFoundError if it is not a regular file, and OSError.
    """
    project = path.removesuffix(b"/" + key)
    root = os.path.dirname(project)  # noqa: PTH120 -- the path is bytes
    real = real_path_below(path, (project, root) if project != path else (root,))
    return open_regular(real)


def open_regular(path: bytes) -> int:
    """Open a regular file at a real path; what blocks or is a device is never waited for.

    Raises SwappedError, FileNotFoundError if it is not a regular file, and OSError.
    """
    try:
        descriptor = open_real(path, READ_FILE)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a FIFO without a writer
            raise not_regular() from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_regular()
    return descriptor


def not_regular() -> FileNotFoundError:
    """Return the error for what is not a regular file any more."""
    return FileNotFoundError(errno.ENOENT, "it is not a regular file any more")


def is_inside(path: bytes, folder: bytes) -> bool:
    """Return whether ``path`` is ``folder`` or lies below it; both are real paths."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def recorded_names(path: str, key: str) -> tuple[bytes, bytes]:
    """Return the bytes of a path and a key as records hold them: escaped if not UTF-8 on disk."""
    name = os.fsencode(path)
    if "\\x" in path and path.isascii() and not os.path.lexists(name):
        return original_name(path), original_name(key)
    return name, os.fsencode(key)


def _is_at(descriptor: int, path: bytes) -> bool:
    """Return whether the kernel says that what was opened is at ``path``; False if unknown."""
    try:
        return os.readlink(_DESCRIPTORS % descriptor) == path  # noqa: PTH115 -- bytes
    except OSError:
        return False


def _open_part(name: bytes, flags: int, folder: int, path: bytes) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        is_link = error.errno in (errno.ELOOP, errno.EMLINK)
        if error.errno == errno.ENOTDIR:  # a folder was asked for, and a link is there
            is_link = _is_link(error, name, folder)
        if is_link:
            raise SwappedError(path) from error
        raise


def _is_link(error: OSError, name: bytes, folder: int | None = None) -> bool:
    if error.errno != errno.ENOTDIR:
        return False
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
