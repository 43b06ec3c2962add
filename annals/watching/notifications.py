"""What systems other than Linux tell of changes, by way of watchfiles, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Set as AbstractSet
from pathlib import Path

from watchfiles import Change, watch

from annals.watching.watcher import Hints

_LEAST_STEP_MS = 5


class Notifications:
    """Watches everything below one root at once.

    Names that a hint cannot carry end the library's loop: that is a lost root, and a new watcher.
    """

    quiet_seconds = 30.0
    """Some systems drop changes without a word, so a full round comes more often."""

    def __init__(self, root: Path, *, latency_ms: float) -> None:
        self._root = root
        self._step_ms = max(_LEAST_STEP_MS, int(latency_ms))
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._found = Hints()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Return the descriptor that can be read when there are hints."""
        return self._reading

    def watch(self, folder: bytes) -> None:
        """Do nothing: every folder is watched."""

    def keep(self, folders: AbstractSet[bytes]) -> None:
        """Do nothing: every folder is watched."""

    def hints(self) -> Hints:
        """Return what there is, without waiting."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._reading, 4096)
        with self._lock:
            found, self._found = self._found, Hints()
        return found

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join(timeout=5)
        os.close(self._reading)
        os.close(self._writing)

    def _run(self) -> None:
        try:
            for changes in watch(
                self._root,
                watch_filter=None,
                step=self._step_ms,
                debounce=self._step_ms,
                stop_event=self._stop,
                rust_timeout=1_000,
            ):
                self._add(changes)
        except (OSError, RuntimeError, UnicodeError):
            self._add(set(), root_lost=True)

    def _add(self, changes: AbstractSet[tuple[Change, str]], *, root_lost: bool = False) -> None:
        with self._lock:
            self._found.root_lost = self._found.root_lost or root_lost
            for change, name in changes:
                path = os.fsencode(name)
                if change is Change.deleted:
                    self._found.soon = True
                    self._found.root_lost = self._found.root_lost or Path(name) == self._root
                if path.endswith(b".jsonl"):
                    self._found.files.add(path)
                elif change is Change.added:
                    self._found.folders.add(path)
        with contextlib.suppress(BlockingIOError):
            os.write(self._writing, b"!")
