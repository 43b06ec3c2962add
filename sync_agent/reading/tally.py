"""What reading led to, in counts."""

from __future__ import annotations

from dataclasses import dataclass

from annals.telemetry import Progress


@dataclass(slots=True)
class Tally:
    """Running counts of one sync: content bytes read and verified, and what came of them.

    ``total`` is the bytes that reading will take at most, for ``progress``.
    """

    progress: Progress
    total: int
    bytes_read: int = 0
    bytes_verified: int = 0
    entries: int = 0
    quarantined: int = 0
    files_read: int = 0
    files_vanished: int = 0
    files_unreadable: int = 0

    def progressed(self, further: int) -> None:
        """Tell the progress: ``further`` bytes of the current file come on top."""
        self.progress.report("sync", self.bytes_read + further, self.total, unit="bytes")
