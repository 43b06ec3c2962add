"""A control group with a memory limit of its own, where this machine lets one be made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_KINDS = (
    (_ROOT / "memory", "memory.limit_in_bytes"),
    (_ROOT, "memory.max"),
)


@contextlib.contextmanager
def limited(size: int) -> Iterator[Path | None]:
    """Yield the file that a process writes its id to, to be limited; None where that cannot be."""
    group = None
    for root, limit in _KINDS:
        folder = root / f"annals-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            group = folder
            (folder / limit).write_text(str(size))
            break
        _remove(group)
        group = None
    try:
        yield group / "cgroup.procs" if group else None
    finally:
        _remove(group)


def _remove(group: Path | None) -> None:
    if group is not None:
        with contextlib.suppress(OSError):
            group.rmdir()
