"""Which watcher this system has."""

from __future__ import annotations

import sys
from pathlib import Path

from annals.watching.watcher import Watcher


def open_watcher(root: Path, *, latency_ms: float) -> Watcher:
    """Return the watcher of this system for ``root``.

    Raises WatchRefusedError where the system has none to give.
    """
    if sys.platform == "linux":
        from annals.watching.kernel_events import Inotify  # noqa: PLC0415 -- one of two is loaded

        return Inotify(bytes(root))
    from annals.watching.notifications import Notifications  # noqa: PLC0415

    return Notifications(root, latency_ms=latency_ms)
