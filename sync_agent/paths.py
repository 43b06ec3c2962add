"""Which files are transcripts: every ``*.jsonl`` below a project folder (docs/specs/reader.md).

Paths are bytes, as the file system has them, so that names that are no UTF-8 need no special care.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from analytics.errors import TranscriptError
from sync_agent.ignores import Ignores

_LINKS_DEEP = 4
"""Links may lead through links this many times; each loop is cut earlier, by its folder."""


class Found(NamedTuple):
    """A transcript file in the listing: absolute path, and what ``stat`` said of it.

    ``real`` is where it is opened if links lead to it, else empty.
    """

    path: bytes
    size: int
    mtime_ns: int
    device: int
    inode: int
    real: bytes = b""

    @classmethod
    def of(cls, path: bytes, status: os.stat_result) -> Found:
        """Return the file at ``path`` as ``status`` has it."""
        inode = signed(status.st_ino)
        return cls(path, status.st_size, status.st_mtime_ns, signed(status.st_dev), inode)


@dataclass(frozen=True, slots=True)
class Listing:
    """The transcripts below one root.

    ``unlisted`` are folders that could not be listed: of what lies below them nothing is known.
    """

    root: bytes
    device: int
    inode: int = 0
    ignores: Ignores = field(default_factory=Ignores)
    files: list[Found] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unlisted: list[bytes] = field(default_factory=list)

    def below(self, path: bytes) -> bytes:
        """Return ``path`` as it reads below the root."""
        return path[len(self.root.rstrip(b"/")) + 1 :]

    def knows(self, path: bytes) -> bool:
        """Return whether the folder of ``path`` was listed, so that absence means absence."""
        return not any(path.startswith(folder + b"/") for folder in self.unlisted)


def _nothing_to_do(_folder: bytes) -> None:
    """Be told of a folder that nobody watches."""


class _Folder(NamedTuple):
    path: bytes
    depth: int
    links: int


def signed(number: int) -> int:
    """Return an unsigned 64-bit number (an inode) as the signed one that SQLite can hold."""
    return number - (1 << 64) if number >> 63 else number


def shown(path: bytes) -> str:
    """Return ``path`` for a message: readable, and without characters that cannot be printed."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode("utf-8")


def discover(
    root: Path,
    *,
    ignores: Ignores | None = None,
    within: bytes = b"",
    entered: Callable[[bytes], None] = _nothing_to_do,
) -> Listing:
    """Return every transcript below ``root``, with a warning for each thing that was skipped.

    With ``within``, a folder below the root, only what lies in that folder. ``entered`` is told of
    each folder right before it is listed. Raises TranscriptError where the root is missing, is no
    folder or cannot be listed.
    """
    listing = _open_root(root, ignores or Ignores())
    start = within or listing.root
    pending = [_Folder(start, listing.below(start).count(b"/") + bool(within), 0)]
    while pending:
        folder = pending.pop()
        try:
            entered(folder.path)
            with os.scandir(folder.path) as entries:
                pending.extend(_take(listing, folder, entries))
        except OSError as error:
            _refuse_root(folder, error)
            _unlisted(listing, folder.path, error)
    return listing


def glance(listing: Listing, path: bytes) -> bool:
    """Put the transcript at ``path`` into the listing; return False where a link is in the way.

    What is ignored, or is no transcript, is left out. Raises OSError where nothing is there.
    """
    below = listing.below(path)
    if listing.ignores.covers(below) or not path.endswith(b".jsonl"):
        return True
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return False
    if not stat.S_ISDIR(status.st_mode):
        folder = _Folder(path.rpartition(b"/")[0], below.count(b"/"), 0)
        _add(listing, folder, path, status)
    return True


def _open_root(root: Path, ignores: Ignores) -> Listing:
    try:
        status = root.stat()
    except OSError as error:
        raise TranscriptError(
            f"the transcript folder {root} cannot be read: {error.strerror}",
            hint="Set CLAUDE_DIR to the folder that holds the project folders, or mount it.",
            path=root,
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise TranscriptError(
            f"{root} is no folder",
            hint="Set CLAUDE_DIR to the folder that holds the project folders.",
            path=root,
        )
    return Listing(os.fsencode(root), signed(status.st_dev), signed(status.st_ino), ignores)


def _refuse_root(folder: _Folder, error: OSError) -> None:
    if folder.depth == 0:
        raise TranscriptError(
            f"the transcript folder {shown(folder.path)} cannot be listed: {error.strerror}",
            hint="Give this user the right to read and enter it (chmod u+rx), or set CLAUDE_DIR.",
            path=shown(folder.path),
        ) from error


def _unlisted(listing: Listing, path: bytes, error: OSError) -> None:
    listing.unlisted.append(path)
    if error.errno != errno.ENOENT:
        listing.warnings.append(
            f"folder {shown(path)} was skipped: {error.strerror};"
            " give this user the right to read and enter it"
        )


def _take(
    listing: Listing, folder: _Folder, entries: Iterator[os.DirEntry[bytes]]
) -> Iterator[_Folder]:
    """Put the folder's transcripts into the listing and yield the folders to look into next."""
    for entry in entries:
        try:
            is_folder = entry.is_dir(follow_symlinks=False)
            if listing.ignores.covers(listing.below(entry.path), is_folder=is_folder):
                continue
            if is_folder or entry.is_symlink():
                yield from _descend(listing, folder, entry)
            elif entry.name.endswith(b".jsonl"):
                _add(listing, folder, entry.path, entry.stat(follow_symlinks=False))
        except OSError as error:
            if error.errno != errno.ENOENT:
                listing.unlisted.append(entry.path)
                _skip(listing, entry.path, f"{error.strerror}; correct its permissions")


def _descend(listing: Listing, folder: _Folder, entry: os.DirEntry[bytes]) -> Iterator[_Folder]:
    if entry.is_symlink():
        yield from _follow(listing, folder, entry)
        return
    if entry.name.endswith(b".jsonl"):
        _skip(listing, entry.path, "it is a folder; what lies in it is read, rename it")
    yield _Folder(entry.path, folder.depth + 1, folder.links)


def _add(listing: Listing, folder: _Folder, path: bytes, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        _skip(listing, path, "it is no regular file; move it out of the transcript folder")
    elif folder.depth == 0:
        _skip(listing, path, "it lies in no project folder; set CLAUDE_DIR one folder higher")
    elif folder.depth > 1 and path.endswith(b"/journal.jsonl"):
        return  # a workflow's own journal is no conversation
    else:
        listing.files.append(Found.of(path, status))


def _skip(listing: Listing, path: bytes, why: str) -> None:
    listing.warnings.append(f"{shown(path)} was skipped: {why}")


def _follow(listing: Listing, folder: _Folder, entry: os.DirEntry[bytes]) -> Iterator[_Folder]:
    """Take what a link leads to, where that lies below the root and is no folder above it."""
    path = entry.path
    try:
        status = os.stat(path)  # noqa: PTH116 -- the path is bytes
        is_inside = _is_inside(os.path.realpath(path), os.path.realpath(listing.root))
    except OSError as error:
        why = "no such target" if error.errno == errno.ENOENT else error.strerror
        _skip(listing, path, f"the link leads nowhere ({why}); remove it or restore its target")
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder and not entry.name.endswith(b".jsonl"):
        return
    if not is_inside:
        _skip(listing, path, "the link leads out of the root; set CLAUDE_DIR to its target instead")
    elif not is_folder:
        _add(listing, folder, path, status)
    elif folder.links >= _LINKS_DEEP or _is_above(listing.root, path, status):
        _skip(listing, path, "the link leads back to a folder above it; remove it")
    else:
        yield _Folder(path, folder.depth + 1, folder.links + 1)


def _is_inside(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def _is_above(root: bytes, path: bytes, status: os.stat_result) -> bool:
    """Return whether the folder ``status`` is one of those on the way from the root to ``path``."""
    folder, _, _ = path.rpartition(b"/")
    while len(folder) >= len(root):
        if os.path.samestat(os.stat(folder), status):  # noqa: PTH116 -- the path is bytes
            return True
        folder, _, _ = folder.rpartition(b"/")
    return False
