"""How much memory DuckDB may use: by default what the work needs, within what the machine has."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from annals.settings import Settings

AUTOMATIC = "auto"
"""Value of DUCKDB_MEMORY_LIMIT that means: as in this module."""

MIB = 1024 * 1024
BASE_BYTES = 512 * 1000 * 1000
"""Enough for a full build of 3 million entries; sorts and joins spill beyond it."""

ROWS_IN_BASE = 3_000_000
BYTES_PER_ROW = 90
"""What a full build keeps per entry and cannot spill: keys and counters of groups."""

LEAST_BYTES = 256 * 1000 * 1000
"""DuckDB cannot build with less, however small the machine is."""

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?P<binary>I?)B(?:YTES)?")
_UNITS = ("", "K", "M", "G", "T")

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")

_UNIFIED = (("memory.max", "memory.current"), ("memory.high", "memory.current"))
_VERSION_1 = (("memory.limit_in_bytes", "memory.usage_in_bytes"),)


def memory_limit(settings: Settings, *, rows: int = 0) -> str:
    """Return DuckDB's memory limit for work on ``rows`` rows of the lake, such as ``512MB``.

    A limit that is set is returned as it is. The automatic one follows the work, and never exceeds
    half of the memory that this machine or this container has left.
    """
    if settings.duckdb_memory_limit != AUTOMATIC:
        return settings.duckdb_memory_limit
    wanted = BASE_BYTES + max(0, rows - ROWS_IN_BASE) * BYTES_PER_ROW
    limit = min(wanted, max(LEAST_BYTES, available_bytes() // 2))
    return f"{limit // 1_000_000}MB"


def spill_folder(settings: Settings) -> Path:
    """Return where DuckDB puts what memory cannot hold: as set, or beside the warehouse."""
    file = settings.warehouse_file
    return settings.duckdb_spill_path or file.with_name(file.name + ".tmp")


def lacks_room(settings: Settings) -> bool:
    """Return whether less fits on the disk, or may be put there, than memory itself could hold.

    Then not memory but this room is what ended the work, and what has to be given more.
    """
    room = _bytes_of(settings.duckdb_spill_limit)
    folder = spill_folder(settings)
    while not folder.exists() and folder != folder.parent:  # DuckDB makes it, and removes it
        folder = folder.parent
    with contextlib.suppress(OSError):
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize
        room = free if room is None else min(room, free)
    limit = _bytes_of(memory_limit(settings))
    return room is not None and limit is not None and room < limit


def _bytes_of(size: str) -> int | None:
    """Return a size such as ``512MB`` as bytes; None for a part of something (``80%``)."""
    found = _SIZE.fullmatch(size.strip().upper())
    if found is None:
        return None
    step = 1024 if found["binary"] else 1000
    return int(float(found["number"]) * step ** _UNITS.index(found["unit"] or ""))


def available_bytes(
    cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO, own_groups: Path = _OWN_GROUPS
) -> int:
    """Return how many bytes of memory this process can still get without swapping.

    The least of what the machine leaves, and this process's control groups (version 1 and 2) with
    all groups above them. Where none of them says, half of the physical memory.
    """
    machine = _machine_available(meminfo)
    known = [] if machine is None else [machine]
    for folder, names in _groups(cgroup, own_groups):
        for limit_name, used_name in names:
            left = _group_available(folder, limit_name, used_name)
            known += [] if left is None else [left]
    return min(known) if known else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


_Names = tuple[tuple[str, str], ...]


def _groups(cgroup: Path, own_groups: Path) -> Iterator[tuple[Path, _Names]]:
    """Yield the folders of all control groups that this process is in, with their file names.

    A container sees its own group as the root, whatever path the kernel reports: so the roots are
    always among them.
    """
    roots = ((cgroup, _UNIFIED), (cgroup / "unified", _UNIFIED), (cgroup / "memory", _VERSION_1))
    yield from roots
    for controllers, path in _own_paths(own_groups):
        for root, names in roots:
            if (names is _VERSION_1) == ("memory" in controllers):
                for group in (path, *path.parents):
                    yield root / group, names


def _own_paths(own_groups: Path) -> Iterator[tuple[list[str], Path]]:
    """Yield the controllers and the path below the root of each of this process's groups."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = own_groups.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        group = Path(path.lstrip("/"))
        if (not controllers or "memory" in controllers.split(",")) and ".." not in group.parts:
            yield controllers.split(","), group


def _machine_available(meminfo: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _group_available(folder: Path, limit_name: str, used_name: str) -> int | None:
    """Return what a control group leaves; its page cache counts as free, as it can be dropped."""
    with contextlib.suppress(OSError, ValueError):
        limit = int((folder / limit_name).read_text(encoding="ascii"))
        used = int((folder / used_name).read_text(encoding="ascii"))
        return max(0, limit - max(0, used - _page_cache(folder)))
    return None


def _page_cache(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                return int(line.split()[1])
    return 0
