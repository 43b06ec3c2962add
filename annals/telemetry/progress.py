"""The seam between long work and whatever shows its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A receiver of the progress of a stage."""

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Say that ``done`` of ``total`` ``unit`` (bytes, rows, models) are finished in ``stage``.

        ``total`` is None where it is not known yet. Calls are cheap and may be many.
        """


class _NoProgress:
    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Show nothing."""


NO_PROGRESS: Progress = _NoProgress()
"""The default: nobody is watching."""
