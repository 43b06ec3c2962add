"""Reading an archive from end to end: every file must be what the manifest says."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from annals.errors import DiskFullError
from annals.limits import TooLargeError, read_bounded
from annals.telemetry import NO_PROGRESS, Progress
from operations.backup import archive
from operations.backup.manifest import NAME, Manifest, Member, damaged, read_manifest
from operations.backup.members import MANIFEST_BYTES, MEMBERS_AT_MOST, NAME_BYTES

_STEP = 1024 * 1024

Take = Callable[[str], IO[bytes] | None]
"""Returns the file into which a part of that name is unpacked; None: it is read only."""


class Hashing:
    """A file to read from that also hashes what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read, and hash it."""
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Return the SHA-256 of all that was read."""
        return self._digest.hexdigest()


def verify(
    path: Path,
    passphrase: str | None,
    *,
    most_bytes: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Manifest:
    """Read an archive to its end and compare it with its manifest; unpack nothing.

    Raises IntegrityError where anything is missing, cut off or changed, UsageError where it is no
    archive, encrypted, or encrypted with another passphrase, and DiskFullError as soon as its files
    are more than ``most_bytes`` together.
    """
    return unpack(path, passphrase, lambda _: None, most_bytes=most_bytes, progress=progress)


def unpack(
    path: Path,
    passphrase: str | None,
    take: Take,
    *,
    most_bytes: int | None = None,
    total: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Manifest:
    """Read an archive to its end, handing each part to what ``take`` returns; raises as above.

    ``total`` is the number of bytes in it, known from an earlier reading.
    """
    stage = "verify" if total is None else "restore"
    found: dict[str, Member] = {}
    manifest = None
    done = 0
    with archive.reading(path, passphrase) as tar:
        for info in tar:
            tar.members = []  # type: ignore[attr-defined] # never asked for again, and can be many
            is_known = info.isreg() and not info.issparse() and info.name not in found
            file = tar.extractfile(info) if is_known else None
            if file is None or manifest is not None or len(found) >= MEMBERS_AT_MOST:
                raise damaged(f"{info.name[:NAME_BYTES]!r} does not belong there")
            if info.name == NAME:
                manifest = read_manifest(_manifest_text(file))
                continue
            done += info.size
            _require_fits(done, most_bytes)
            found[info.name] = _read(info, file, take(info.name))
            progress.report(stage, done, total, unit="bytes")
    if manifest is None:
        raise damaged("it has no manifest")
    _compare(found, manifest)
    return manifest


def _manifest_text(file: IO[bytes]) -> bytes:
    try:
        return read_bounded(file, limit=MANIFEST_BYTES)
    except TooLargeError as error:
        raise damaged(f"its manifest is too large: {error}") from error


def _require_fits(size: int, most_bytes: int | None) -> None:
    """Raise as soon as an archive is too large for its place: it can expand without end."""
    if most_bytes is not None and size > most_bytes:
        raise DiskFullError(
            f"more than {most_bytes:,} bytes are needed for the archive's files, and that is all"
            " that is free",
            hint="Make room, or set ANNALS_HOME and SQLITE_PATH to another disk.",
        )


def _read(info: tarfile.TarInfo, file: IO[bytes], target: IO[bytes] | None) -> Member:
    hashing = Hashing(file)
    size = 0
    try:
        while data := hashing.read(_STEP):
            size += len(data)
            if target is not None:
                target.write(data)
    finally:
        if target is not None:
            target.close()
    return Member(path=info.name, size=size, sha256=hashing.hexdigest())


def _compare(found: dict[str, Member], manifest: Manifest) -> None:
    promised = {member.path: member for member in manifest.members}
    for name in promised.keys() | found.keys():
        if name not in found:
            raise damaged(f"{name} is missing in it")
        if found[name] != promised.get(name):
            raise damaged(f"{name} is not what was written")
