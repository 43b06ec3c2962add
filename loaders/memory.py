"""How much memory DuckDB may use: by default what the work needs, within what the machine has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from analytics.settings import Settings

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

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


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


def available_bytes(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int:
    """Return how many bytes of memory this process can still get without swapping.

    The least of what the machine and the control groups (version 1 and 2) leave. Where neither
    says, half of the physical memory.
    """
    known = [
        value
        for value in (
            _machine_available(meminfo),
            _group_available(cgroup, "memory.max", "memory.current"),
            _group_available(cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        )
        if value is not None
    ]
    return min(known) if known else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


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
