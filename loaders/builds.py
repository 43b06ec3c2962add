"""Names, order and retention of published builds, without a clock.

A build's name begins with a sequence number, one above the highest that is there. Its time stamp is
for people: a clock that was wrong once changes neither which build is newest nor which one goes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from loaders.moved_build import CATALOG

_BUILD = re.compile(r"(?:b(?P<number>\d{8,})-)?\d{8}T\d{6}Z-[0-9a-f]{8}")
_FLOCK = "hhqqi4x"
_UNNUMBERED = 0
"""Builds of older versions have no number: they count as older than every build with one."""


def utc_now() -> datetime:
    """Return the instant that the clock of this machine shows."""
    return datetime.now(UTC)


def build_number(name: str) -> int | None:
    """Return the sequence number in a build's name; None if it is not the name of a build."""
    match = _BUILD.fullmatch(name)
    if match is None:
        return None
    return int(match["number"] or _UNNUMBERED)


def next_build(builds: Path, *, at_least: str | None, clock: Callable[[], datetime]) -> Path:
    """Return the folder of the build to be written next.

    ``at_least`` names the build published last, whose number counts even if its folder is gone.
    """
    names = [path.name for path in builds.iterdir()] + ([at_least] if at_least else [])
    numbers = [build_number(name.removesuffix(".tmp")) or _UNNUMBERED for name in names]
    number = max(numbers, default=_UNNUMBERED) + 1
    return builds / f"b{number:08d}-{clock():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def remove_unfinished(builds: Path) -> None:
    """Remove what a killed publish left; folders of other names are not ours."""
    for folder in builds.iterdir():
        name = folder.name.removesuffix(".tmp")
        if build_number(name) is not None and not (folder / CATALOG).exists():
            shutil.rmtree(folder, ignore_errors=True)
    for link in builds.parent.glob("current.*"):
        if link.is_symlink():
            link.unlink()


def remove_old(builds: Path, current: Path, *, previous: Path | None, kept: int) -> None:
    """Keep the newest ``kept`` builds in the order of publishing, and what a reader has open.

    ``current`` and ``previous``, the build that was current until now, always stay.
    """
    names = [path.name for path in builds.iterdir() if build_number(path.name) is not None]
    first = [path.name for path in (current, previous) if path is not None]
    others = sorted(set(names) - set(first), key=lambda name: (build_number(name), name))
    newest = [*first, *reversed(others)]
    for name in newest[max(kept, len(first)) :]:
        if not is_open(builds / name / CATALOG):
            shutil.rmtree(builds / name, ignore_errors=True)


def is_open(catalog: Path) -> bool:
    """Return whether a reader has the catalog open; DuckDB holds a read lock as long as it has.

    On systems without locks of open files only readers in other processes are seen.
    """
    try:
        descriptor = os.open(catalog, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    command = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = fcntl.fcntl(descriptor, command, asked)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK
