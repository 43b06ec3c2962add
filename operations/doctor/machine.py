"""Checks of the machine: disk, kernel limits, clock, versions."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from annals import __version__
from annals.settings import Settings
from operations.doctor.findings import Finding, broken, doubtful, fine

_LITTLE_BYTES = 1_000_000_000
_TOO_LITTLE_BYTES = 100_000_000
_LEAST_YEAR = 2025
_AHEAD_SECONDS = 3_600
_LEAST_SQLITE = (3, 37, 0)
_LIMITS = Path("/proc/sys/fs/inotify")
_HALF = 2
_ENOUGH_WATCHES = 524_288
_LEAST_INSTANCES = 16


def disk(settings: Settings) -> list[Finding]:
    """Return whether there is space where the buffer and everything else is kept."""
    places = {"buffer disk": settings.sqlite_path, "state disk": settings.annals_home}
    return [_space(name, path) for name, path in places.items()]


def _space(name: str, path: Path) -> Finding:
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    says = f"{free / 1e9:,.1f} GB free at {path}"
    if free < _TOO_LITTLE_BYTES:
        return broken(name, says, remedy="Free some space; nothing is lost until then.")
    if free < _LITTLE_BYTES:
        return doubtful(name, says, remedy="Free some space before it runs out.")
    return fine(name, says)


def watches(root: Path, limits: Path = _LIMITS) -> list[Finding]:
    """Return whether the kernel lets this user watch every folder below ``root``.

    The agent uses a watch for each folder (inotify, Linux only).
    """
    allowed, instances = (_limit(limits / f"max_user_{name}") for name in ("watches", "instances"))
    if allowed is None or instances is None:
        return [fine("file events", "this system has no limit that is known here")]
    unlisted: list[OSError] = []
    folders = sum(1 for _ in os.walk(root, onerror=unlisted.append))
    says = f"{folders:,} folders, {allowed:,} watches and {instances:,} instances allowed"
    if unlisted:
        says += f"; {len(unlisted):,} folders cannot be listed and are not counted"
    if folders * _HALF > allowed or instances < _LEAST_INSTANCES:
        return [
            doubtful(
                "file events",
                says,
                remedy=f"sudo sysctl fs.inotify.max_user_watches={_ENOUGH_WATCHES}"
                " fs.inotify.max_user_instances=512 (and in /etc/sysctl.d to keep it); the agent"
                " polls the folders that get no watch until then.",
            )
        ]
    return [fine("file events", says)]


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def clock(
    newest_read: int | None,
    noted: Mapping[str, float] = MappingProxyType({}),
    *,
    read_clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Return whether the clock can be right, and was: ``noted`` names instants that were written.

    ``noted`` is in seconds, ``newest_read`` in microseconds. Correctness never depends on a clock.
    """
    now = read_clock()
    says = f"it is {datetime.fromtimestamp(now, UTC).isoformat(timespec='seconds')}"
    remedy = "Set the clock (timedatectl set-ntp true); no record is lost or doubled by it."
    if time.gmtime(now).tm_year < _LEAST_YEAR:
        return [broken("clock", f"{says}, which cannot be", remedy=remedy)]
    if newest_read is not None and newest_read / 1e6 > now + _AHEAD_SECONDS:
        return [doubtful("clock", f"{says}, and records were read later than that", remedy=remedy)]
    ahead = [name for name, instant in noted.items() if instant > now + _AHEAD_SECONDS]
    if ahead:
        told = f"{says}, and the instant of {ahead[0]} is later: a clock was ahead"
        return [doubtful("clock", told, remedy=remedy)]
    return [fine("clock", says)]


def versions() -> list[Finding]:
    """Return what runs here."""
    system = f"{platform.system()} {platform.release()}"
    says = (
        f"Annals {__version__}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, {system}"
    )
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        remedy = f"Use a Python with SQLite 3.37 or newer; this is {sys.executable}."
        return [doubtful("versions", says, remedy=remedy)]
    return [fine("versions", says)]
