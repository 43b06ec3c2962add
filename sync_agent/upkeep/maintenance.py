"""What the agent does to its buffer between reading: pruning, verification, full re-reads."""

from __future__ import annotations

import time
from collections.abc import Sequence

from annals.settings import Settings
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import Buffer
from sync_agent.reading.activity import Activity
from sync_agent.reading.rereads import queued_paths
from sync_agent.reading.root import Root
from sync_agent.upkeep.verifier import BackgroundVerifier

_PRUNE_ROWS, _PRUNE_PAGES = 500, 250
_REREAD_SECONDS = 60.0
_PRUNE_BUSY_SECONDS, _PRUNE_IDLE_SECONDS = 0.2, 60.0


class Upkeep:
    """Keeps the buffer small and what it says of grown files true, a short step at a time."""

    def __init__(
        self, settings: Settings, buffer: Buffer, roots: Sequence[Root], activity: Activity
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._roots = roots
        self._next_prune = self._next_rereads = 0.0
        self._verifier = BackgroundVerifier(
            buffer, roots, activity=activity, max_line_bytes=settings.max_line_bytes
        )

    def next_due(self) -> float:
        """Return when the next step is due, on the monotonic clock."""
        return min(self._next_prune, self._next_rereads, self._verifier.next_due())

    def step(self) -> None:
        """Do what is due; to be called when everything that was read is committed."""
        if self._verifier.step() or time.monotonic() >= self._next_rereads:
            self.take_rereads()
        self._prune()

    def take_rereads(self) -> None:
        """Queue the files that were found wrong, to be read from their start."""
        self._next_rereads = time.monotonic() + _REREAD_SECONDS
        wanted = queued_paths(self._buffer.connection)
        for root in self._roots if wanted else ():
            root.read_again(wanted)

    def close(self) -> None:
        """Let go of the file that is being verified."""
        self._verifier.close()

    def _prune(self) -> None:
        now = time.monotonic()
        if now < self._next_prune:
            return
        done = prune(
            self._buffer,
            retention_days=self._settings.buffer_retention_days,
            ships=self._settings.mongo_uri is not None,
            steps=1,
            rows=_PRUNE_ROWS,
            pages=_PRUNE_PAGES,
        )
        is_busy = done.records >= _PRUNE_ROWS
        self._next_prune = now + (_PRUNE_BUSY_SECONDS if is_busy else _PRUNE_IDLE_SECONDS)
