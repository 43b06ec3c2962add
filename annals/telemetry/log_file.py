"""The file of LOG_FILE, checked before the library that writes to it is loaded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from annals.errors import SettingsError
from annals.files import is_shared, make_folder

_OTHERS = 0o077
_HINT = "Set LOG_FILE to a file that this user may write, or leave it unset."


def require_writable(path: Path) -> None:
    """Make the file if it does not exist, and close it to others; raise SettingsError (exit 3).

    LOG_FILE is a path that the user chose, so a link of this user (or of root) is followed. A link
    of somebody else, a FIFO or a folder is refused.
    """
    try:
        make_folder(path.parent, named=True)
        _refuse_link_of_others(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        raise SettingsError(
            f"the log file {path} cannot be written: {error.strerror}", hint=_HINT
        ) from error
    try:
        _make_private(path, descriptor)
    finally:
        os.close(descriptor)


def _refuse_link_of_others(path: Path) -> None:
    if path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
        raise SettingsError(f"the log file {path} is a link of another user", hint=_HINT)


def _make_private(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if stat.S_ISFIFO(status.st_mode):
        raise SettingsError(f"the log file {path} is a FIFO, not a regular file", hint=_HINT)
    is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    if is_ours and status.st_mode & _OTHERS and not is_shared():
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS)
