"""Which files are transcripts: every ``*.jsonl`` below a project folder (docs/specs/reader.md).

Paths are bytes, as the file system has them, so that names that are not UTF-8 need no special care.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from annals.errors import TranscriptError, TranscriptFolderError
from annals.records.opening import READ_FOLDER, is_inside, open_real
from annals.settings.roots import missing_root_hint
from annals.watching.ignores import Ignores

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


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
        inode = to_signed(status.st_ino)
        return cls(path, status.st_size, status.st_mtime_ns, to_signed(status.st_dev), inode)


class Outside(NamedTuple):
    """A place below a root that is not read, and why.

    ``is_double`` says that what it leads to is read under another name, so nothing is missing.
    """

    path: bytes
    why: str
    is_double: bool = False

    def __str__(self) -> str:
        return f"{shown(self.path)} was skipped: {self.why}"


def _never(_found: Found) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Listing:
    """The transcripts below one root, and the places that are outside custody.

    ``unlisted`` are folders that could not be listed: of what lies below them nothing is known.
    ``links`` are the folders that are read through a link: its path, and the real one.
    ``real_folders`` has the same and the root; no other part of a path may be a link.
    Files that ``is_known`` says yes to are left out. ``ignored`` is what IGNORE_PATTERNS leaves out
    although it is called as a transcript, or is in the place of a project folder.
    """

    root: bytes
    device: int
    inode: int = 0
    ignores: Ignores = field(default_factory=Ignores)
    files: list[Found] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    unlisted: list[bytes] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    links: list[tuple[bytes, bytes]] = field(default_factory=list)
    real_folders: dict[bytes, bytes] = field(default_factory=dict)
    is_known: Callable[[Found], bool] = _never

    @property
    def warnings(self) -> list[str]:
        """Every place outside custody as a sentence."""
        return list(map(str, self.outside))

    def below(self, path: bytes) -> bytes:
        """Return ``path`` as it reads below the root."""
        return path[len(self.root.rstrip(b"/")) + 1 :]

    def real_path(self, path: bytes) -> bytes:
        """Return where ``path`` below the root really is, by the links that the listing followed.

        The disk is not looked at: a folder that has become a link since is not followed.
        """
        folder = path
        while folder:
            if (real := self.real_folders.get(folder)) is not None:
                return real + path[len(folder) :]
            folder = folder.rpartition(b"/")[0]
        return path

    def knows(self, path: bytes) -> bool:
        """Return whether the folder of ``path`` was listed, so that absence means absence."""
        return not any(path.startswith(folder + b"/") for folder in self.unlisted)


def _nothing_to_do(_folder: bytes) -> None:
    """Be told of a folder that nobody watches."""


class _Folder(NamedTuple):
    """A folder to look into: its path below the root, how deep that is, and the real path."""

    path: bytes
    depth: int
    real: bytes


def to_signed(number: int) -> int:
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
    real_folders: Mapping[bytes, bytes] | None = None,
    entered: Callable[[bytes], None] = _nothing_to_do,
    is_known: Callable[[Found], bool] = _never,
) -> Listing:
    """Return every transcript below ``root``, and each place that is outside custody.

    With ``within``, a folder below the root, only what lies in that folder; links in it are left
    to a look at the whole root, and links to it are those of ``real_folders``, which that look
    found. ``entered`` is called with each folder right before it is listed; files that ``is_known``
    says yes to are left out.
    Raises TranscriptError where the root is missing, is not a folder or cannot be listed.
    """
    opened = _open_root(root, ignores or Ignores())
    walk = _Walk(replace(opened, is_known=is_known), entered)
    real_root = walk.listing.real_folders[walk.listing.root]
    if within:
        walk.listing.real_folders.update(real_folders or {})
        depth = walk.listing.below(within).count(b"/") + 1
        walk.go_through(_Folder(within, depth, walk.listing.real_path(within)))
        walk.listing.unlisted.extend(path for _, path in walk.links)
        return walk.listing
    walk.trees.append(real_root)
    walk.go_through(_Folder(walk.listing.root, 0, real_root))
    while walk.links:
        links, walk.links = sorted(walk.links, key=lambda link: (link[0].depth, link[1])), []
        for folder, path in links:
            target = _judge(walk, folder, path)
            if target is not None:
                walk.go_through(target)
    return walk.listing


@dataclass(slots=True)
class _Walk:
    """A walk through folders, each real one once; ``links`` wait until all folders were walked."""

    listing: Listing
    entered: Callable[[bytes], None]
    trees: list[bytes] = field(default_factory=list)
    walked: set[bytes] = field(default_factory=set)
    links: list[tuple[_Folder, bytes]] = field(default_factory=list)

    def go_through(self, start: _Folder) -> None:
        """Put everything below a folder into the listing, and its links aside."""
        pending = [start]
        while pending:
            folder = pending.pop()
            if folder.real in self.walked:
                continue
            self.walked.add(folder.real)
            try:
                self.entered(folder.path)
                pending.extend(self._list(folder))
            except OSError as error:
                _refuse_root(folder, error)
                _unlisted(self.listing, folder.path, error)

    def _list(self, folder: _Folder) -> list[_Folder]:
        """List a folder by its descriptor, which no link leads to; return the folders in it."""
        descriptor = open_real(folder.real, READ_FOLDER)
        try:
            with os.scandir(descriptor) as entries:
                return list(self._take(folder, entries))
        finally:
            os.close(descriptor)

    def _take(self, folder: _Folder, entries: Iterator[os.DirEntry[str]]) -> Iterator[_Folder]:
        """Put the folder's transcripts into the listing and yield the folders to look into next."""
        listing = self.listing
        above = folder.path.rstrip(b"/") + b"/"
        start = len(listing.root.rstrip(b"/")) + 1
        for entry in entries:
            name = entry.name.encode(_ENCODING, _ERRORS)
            path = above + name
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                if listing.ignores.covers(path[start:], is_folder=is_folder):
                    listing.ignored.extend(_like_transcript(folder, path, is_folder=is_folder))
                    continue
                if entry.is_symlink():
                    self.links.append((folder, path))
                elif is_folder:
                    if name.endswith(b".jsonl"):
                        why = "it is a folder; what lies in it is read, rename it"
                        listing.outside.append(Outside(path, why, is_double=True))
                    yield _Folder(path, folder.depth + 1, _below(folder, path, name))
                elif name.endswith(b".jsonl"):
                    _add(listing, folder, path, entry.stat(follow_symlinks=False))
            except OSError as error:
                _unlisted(listing, path, error)


def is_transcript_path(listing: Listing, path: bytes) -> bool:
    """Put the transcript at ``path`` into the listing; return False for a link.

    What is ignored, or is not a transcript, is left out. Raises OSError where nothing is there.
    """
    below = listing.below(path)
    if listing.ignores.covers(below) or not path.endswith(b".jsonl"):
        return True
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return False
    if not stat.S_ISDIR(status.st_mode):
        parent = path.rpartition(b"/")[0]
        folder = _Folder(parent, below.count(b"/"), listing.real_path(parent))
        _add(listing, folder, path, status)
    return True


def _open_root(root: Path, ignores: Ignores) -> Listing:
    try:
        status = root.stat()
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        kind = TranscriptFolderError if is_missing else TranscriptError
        raise kind(
            f"the transcript folder {root} cannot be read: {error.strerror}",
            hint=missing_root_hint(root),
            path=root,
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise TranscriptFolderError(
            f"{root} is not a folder",
            hint="Set CLAUDE_DIR to the folder that holds the project folders.",
            path=root,
        )
    path = os.fsencode(root)
    listing = Listing(path, to_signed(status.st_dev), to_signed(status.st_ino), ignores)
    listing.real_folders[path] = os.path.realpath(path)
    return listing


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
        listing.outside.append(Outside(path, reason(error)))


def reason(error: OSError) -> str:
    """Return why a place cannot be read, with the remedy."""
    remedies = {
        errno.EACCES: "give this user the right to read and enter it (chmod u+rX)",
        errno.EPERM: "give this user the right to read and enter it (chmod u+rX)",
        errno.ENAMETOOLONG: "shorten its path",
    }
    remedy = remedies.get(error.errno or 0, "check its disk and its permissions")
    return f"{error.strerror}; {remedy}"


def _like_transcript(folder: _Folder, path: bytes, *, is_folder: bool) -> list[bytes]:
    is_one = path.endswith(b".jsonl") or (is_folder and folder.depth == 0)
    return [path] if is_one else []


def _below(folder: _Folder, path: bytes, name: bytes) -> bytes:
    """Return the real path of an entry; the one object where no link leads to it."""
    return path if folder.real == folder.path else folder.real.rstrip(b"/") + b"/" + name


def _add(
    listing: Listing, folder: _Folder, path: bytes, status: os.stat_result, *, real: bytes = b""
) -> None:
    if not stat.S_ISREG(status.st_mode):
        _skip(listing, path, "it is not a regular file; move it out of the transcript folder")
    elif folder.depth == 0:
        _skip(listing, path, _in_no_project(listing.root))
    elif folder.depth > 1 and path.endswith(b"/journal.jsonl"):
        return  # a workflow's own journal is not a conversation
    else:
        found = Found.of(path, status)
        if real or folder.real != folder.path:
            found = found._replace(real=real or folder.real + path[len(folder.path) :])
        if not listing.is_known(found):
            listing.files.append(found)


def _in_no_project(root: bytes) -> str:
    parent, _, _ = root.rstrip(b"/").rpartition(b"/")
    if parent.endswith(b"/projects"):
        return f"it lies directly in CLAUDE_DIR; set CLAUDE_DIR={shown(parent)}"
    return (
        "it lies directly in CLAUDE_DIR and not in a project folder; move it into one, or if"
        f" {shown(root)} is a project folder, link that into your transcript folder"
    )


def _skip(listing: Listing, path: bytes, why: str) -> None:
    listing.outside.append(Outside(path, why))


def _judge(walk: _Walk, folder: _Folder, path: bytes) -> _Folder | None:
    """Put the file that a link leads to into the listing, or return the folder to walk through."""
    listing = walk.listing
    try:
        status, target = os.stat(path), os.path.realpath(path)  # noqa: PTH116 -- the path is bytes
    except OSError as error:
        why = "no such target" if error.errno == errno.ENOENT else error.strerror
        _skip(listing, path, f"the link leads nowhere ({why}); remove it or restore its target")
        return None
    if stat.S_ISDIR(status.st_mode):
        return _judge_folder(walk, folder, path, target)
    if path.endswith(b".jsonl"):
        if any(is_inside(target, tree) for tree in walk.trees):
            _add(listing, folder, path, status, real=target)
        else:
            _skip(
                listing,
                path,
                f"the link leads out of the transcript folder, to {shown(target)}; put the file"
                " itself there",
            )
    return None


def _judge_folder(walk: _Walk, folder: _Folder, path: bytes, target: bytes) -> _Folder | None:
    """Return the folder that a link leads to; a project folder may lie anywhere."""
    listing = walk.listing
    holds = next((tree for tree in walk.trees if is_inside(tree, target)), None)
    if target in walk.walked:
        why = f"the link leads to {shown(target)}, which is read under another name; remove it"
        listing.outside.append(Outside(path, why, is_double=True))
    elif holds is not None:
        why = f"the link leads to {shown(target)}, which holds {shown(holds)} itself; remove it"
        _skip(listing, path, why)
    elif folder.depth == 0 or any(is_inside(target, tree) for tree in walk.trees):
        if not any(is_inside(target, tree) for tree in walk.trees):
            walk.trees.append(target)
        listing.links.append((path, target))
        listing.real_folders[path] = target
        return _Folder(path, folder.depth + 1, target)
    else:
        why = (
            f"the link leads out of the transcript folder, to {shown(target)}; to have it read,"
            f" link it directly below {shown(listing.root)}"
        )
        _skip(listing, path, why)
    return None
