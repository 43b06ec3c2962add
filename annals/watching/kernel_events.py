"""What the Linux kernel reports changes, without a thread and without waking up for nothing."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from annals.watching.watcher import Hints, refused

_MODIFY, _ATTRIBUTES, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED, _IS_FOLDER = 0x2000, 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS, _NOT_UNLINKED = 0x01000000, 0x04000000

_WANTED = (
    (_MODIFY | _ATTRIBUTES | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE)
    | (_DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS | _NOT_UNLINKED)
)  # fmt: skip
_APPEARED = _CREATE | _MOVED_TO
_WENT = _DELETE | _MOVED_FROM
_SELF_GONE = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED

_HEAD = struct.Struct("iIII")
_READ_BYTES = 256 * 1024


class Inotify:
    """Watches folders of one root, each by itself, as the kernel wants it.

    Raises WatchRefusedError where the kernel gives no instance.
    """

    quiet_seconds = 180.0
    """The kernel says so where it dropped something, so nothing is missed for long."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, bytes] = {}
        self._numbers: dict[bytes, int] = {}
        if self._descriptor < 0:
            raise refused(_last_error(root))

    def fileno(self) -> int:
        """Return the descriptor that can be read when there are hints."""
        return self._descriptor

    def watch(self, folder: bytes) -> None:
        """Tell of changes in ``folder``; raises WatchRefusedError, or OSError if it is gone."""
        if folder in self._numbers:
            return
        number = self._library.inotify_add_watch(self._descriptor, folder, _WANTED)
        if number < 0:
            error = _last_error(folder)
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                raise error
            raise refused(error)
        before = self._folders.get(number)  # the same folder under another name: moved, or a link
        if before is None or not os.path.exists(before):  # noqa: PTH110 -- bytes
            self._numbers.pop(before or folder, None)
            self._folders[number] = folder
        self._numbers[folder] = number

    def keep(self, folders: AbstractSet[bytes]) -> None:
        """Forget every folder but these."""
        for folder in self._numbers.keys() - folders:
            number = self._numbers.pop(folder)
            if self._folders.get(number) == folder:
                self._forget(number)

    def hints(self) -> Hints:
        """Return what there is, without waiting."""
        found = Hints()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._descriptor, _READ_BYTES):
                for number, mask, name in _events(data):
                    self._take(found, number, mask, name)
        return found

    def close(self) -> None:
        """Give the instance and all its watches back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, found: Hints, number: int, mask: int, name: bytes) -> None:
        if mask & _OVERFLOW:
            found.everything = True
            return
        folder = self._folders.get(number)
        if folder is None:
            return
        if not name:
            self._take_own(found, number, mask, folder)
        elif mask & _IS_FOLDER:
            found.soon = found.soon or bool(mask & _WENT)
            if not mask & _WENT:
                found.folders.add(folder + b"/" + name)
        elif name.endswith(b".jsonl"):
            found.soon = found.soon or bool(mask & _WENT)
            found.files.add(folder + b"/" + name)
        else:
            self._take_other(found, mask, folder + b"/" + name)

    def _take_other(self, found: Hints, mask: int, path: bytes) -> None:
        """Take what happened to a link, among them one to a folder that is watched."""
        if path in self._numbers:
            self._forget_below(path)
            found.soon = True
        elif mask & _APPEARED and os.path.islink(path):  # noqa: PTH114 -- bytes
            found.soon = True

    def _take_own(self, found: Hints, number: int, mask: int, folder: bytes) -> None:
        """Take what happened to a watched folder itself."""
        if not mask & _SELF_GONE:
            found.folders.add(folder)
            return
        found.soon = True
        found.root_lost = found.root_lost or folder == self._root
        self._forget(number)

    def _forget_below(self, folder: bytes) -> None:
        """Forget a folder and those in it: another one may be under that name now."""
        for path in [one for one in self._numbers if (one + b"/").startswith(folder + b"/")]:
            number = self._numbers.pop(path)
            if self._folders.get(number) == path:
                self._forget(number)

    def _forget(self, number: int) -> None:
        folder = self._folders.pop(number, None)
        if folder is not None:
            self._numbers.pop(folder, None)
            self._library.inotify_rm_watch(self._descriptor, number)


def _events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number of the watch, mask and name of each event."""
    place = 0
    while place < len(data):
        number, mask, _cookie, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        yield number, mask, data[place : place + length].rstrip(b"\0")
        place += length


def _last_error(path: bytes) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), os.fsdecode(path))
