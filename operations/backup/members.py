"""The names of an archive's files: read once into the parts of a path, and used as these alone.

An archive can come from anybody. A name is refused unless every file system takes it for the same
file below the target; the files are then created part by part, from a folder that is already open,
so that no link is followed and nothing outside can be reached.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from annals.files import file_mode, folder_mode, make_folder

MEMBERS_AT_MOST = 300_000
"""Files of an archive: far more than a lake has that is maintained."""

MANIFEST_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 64 * 1024
"""A name in a header of its own is longer than this only in an archive made to fill the memory."""

NAME_BYTES, PART_BYTES = 1_024, 255
_HEADERS = frozenset(
    (
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE),
        *(tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    )
)
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MemberPath(NamedTuple):
    """The parts of a name, each a plain name of a file or folder."""

    parts: tuple[str, ...]


class BoundedHeader(tarfile.TarInfo):
    """A header of an archive: refused if it announces a name of more than HEADER_BYTES."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> BoundedHeader:
        """Return the header in ``buf``; raise ReadError for a name that is too long."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _HEADERS and header.size > HEADER_BYTES:
            raise tarfile.ReadError(f"a name of {header.size:,} bytes")
        return header


def member_path(name: str) -> MemberPath:
    """Return the parts of a name; raise ValueError, saying why, for one that could be misread."""
    if len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES:
        raise ValueError("its name is too long")
    parts = tuple(name.split("/"))
    for part in parts:
        _require_plain(part)
    return MemberPath(parts)


def require_apart(paths: Iterable[MemberPath]) -> None:
    """Raise ValueError for names that some file system takes for one, or for a folder and a file.

    Files are compared as a file system does that knows no case and no Unicode forms.
    """
    files: set[tuple[str, ...]] = set()
    for path in paths:
        folded = tuple(_folded(part) for part in path.parts)
        if folded in files:
            raise ValueError(f"two files are called {'/'.join(path.parts)}")
        files.add(folded)
    for folded in files:
        if any(folded[:length] in files for length in range(1, len(folded))):
            raise ValueError(f"{'/'.join(folded)} lies in what is a file")


def create_below(root: Path, path: MemberPath) -> int:
    """Create a file below ``root`` and return its descriptor; no link is followed on the way.

    ``root`` and all folders are made, private, if they are missing. Raises FileExistsError for a
    file that is there, and OSError for a link in the place of a folder.
    """
    make_folder(root, mode=folder_mode(), named=True)
    folder = os.open(root, _FOLDER)
    try:
        for part in path.parts[:-1]:
            folder = _open_folder(folder, part)
        return os.open(path.parts[-1], _FRESH, file_mode(), dir_fd=folder)
    finally:
        os.close(folder)


def _open_folder(parent: int, name: str) -> int:
    """Return the folder ``name`` in ``parent``, which is closed; make it if it is missing."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, folder_mode(), dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)
    finally:
        os.close(parent)


def _require_plain(part: str) -> None:
    if part in ("", ".", ".."):
        raise ValueError("its name is absolute, or leads upwards or nowhere")
    if "\\" in part or part[1:2] == ":" or not part.isprintable():
        raise ValueError("its name holds a character that is not allowed there")
    if part[-1] in ". " or part[0] == " ":
        raise ValueError("its name begins or ends with a space or a dot")
    if unicodedata.normalize("NFC", part) != part:
        raise ValueError("its name is not in the usual Unicode form")
    if len(part.encode("utf-8", "surrogateescape")) > PART_BYTES:
        raise ValueError("a part of its name is too long")


def _folded(part: str) -> str:
    return unicodedata.normalize("NFKC", part.casefold())
