"""Progress bars on standard error, where a person is looking at it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from annals.telemetry.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class _TerminalProgress:
    """One bar for each stage; bars of finished stages stay."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Move the bar of ``stage``, which is made at its first report."""
        task = self._tasks.get(stage)
        if task is None:
            task = self._bars.add_task(stage, total=total, unit=unit)
            self._tasks[stage] = task
        self._bars.update(task, completed=done, total=total)


@contextlib.contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Show progress while the body runs, if standard error is a terminal; else show nothing."""
    if not sys.stderr.isatty():
        yield NO_PROGRESS
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} {task.fields[unit]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _TerminalProgress(bars)
