"""Reading an archive from end to end: every file must be what the manifest says."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from analytics.telemetry import NO_PROGRESS, Progress
from flows.backup import archive
from flows.backup.manifest import NAME, Manifest, Member, damaged, read_manifest

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


def verify(path: Path, passphrase: str | None, *, progress: Progress = NO_PROGRESS) -> Manifest:
    """Read an archive to its end and compare it with its manifest; unpack nothing.

    Raises IntegrityError where anything is missing, cut off or changed, UsageError where it is no
    archive, encrypted, or encrypted with another passphrase.
    """
    return unpack(path, passphrase, lambda _: None, progress=progress)


def unpack(
    path: Path, passphrase: str | None, take: Take, *, progress: Progress = NO_PROGRESS
) -> Manifest:
    """Read an archive to its end, handing each part to what ``take`` returns; raises as above."""
    found: dict[str, Member] = {}
    manifest = None
    with archive.reading(path, passphrase) as tar:
        for info in tar:
            file = tar.extractfile(info)
            if file is None or manifest is not None or info.name in found:
                raise damaged(f"{info.name} does not belong there")
            if info.name == NAME:
                manifest = read_manifest(file.read())
                continue
            found[info.name] = _read(info, file, take(info.name))
            done = sum(member.size for member in found.values())
            progress.report("verify", done, None, unit="bytes")
    if manifest is None:
        raise damaged("it has no manifest")
    _compare(found, manifest)
    return manifest


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
