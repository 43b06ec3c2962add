"""Progress on standard error: bars on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from annals.telemetry.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 10.0
_ETA_AFTER_SECONDS = 1.0
_MINUTE = 60


@dataclass(slots=True)
class _Stage:
    """One stage: how much of it is done, and since when it runs."""

    name: str
    unit: str
    done: float = 0
    total: float | None = None
    started: float = field(default_factory=time.monotonic)
    is_closed: bool = False

    def close(self) -> None:
        """Note that the stage is done: all of its total."""
        self.is_closed = True
        self.done = max(self.done, self.total or 0)

    def figure(self) -> str:
        """Return how much is done, and of how much."""
        of = f" of {self.total:,.0f}" if self.total and self.done < self.total else ""
        return f"{self.done:,.0f}{of} {self.unit}"

    def line(self) -> str:
        """Return the stage in one line, with an estimate of the time that is left."""
        elapsed = time.monotonic() - self.started
        if not self.total:
            return f"{self.name}: {self.figure()}, {_duration(elapsed)}"
        line = f"{self.name}: {min(self.done / self.total, 1):.0%}, {self.figure()}"
        if 0 < self.done < self.total and elapsed >= _ETA_AFTER_SECONDS:
            line += f", {_duration(elapsed * (self.total - self.done) / self.done)} left"
        return line


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"


class _View(Protocol):
    """What shows stages: each change of one, and the end of all."""

    def update(self, stage: _Stage) -> None:
        """Show how far the stage is."""

    def stop(self) -> None:
        """Show no more."""


class _Lines:
    """A line every ten seconds, about the stage that runs."""

    def __init__(self) -> None:
        self._stage: _Stage | None = None
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()

    def update(self, stage: _Stage) -> None:
        """Let the next line be about this stage."""
        self._stage = stage

    def stop(self) -> None:
        """Print no more lines."""
        self._ended.set()
        self._clock.join()

    def _tick(self) -> None:
        while not self._ended.wait(LINE_SECONDS):
            stage = self._stage
            if stage is not None and not stage.is_closed:
                _write(stage.line())


class _BarsView:
    """One bar for each stage that has something to do; bars of finished stages stay."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        bars.start()

    def update(self, stage: _Stage) -> None:
        """Move the bar of the stage, which is made once there is something to do."""
        total = max(stage.done, stage.total or 0) if stage.is_closed else stage.total
        task = self._tasks.get(stage.name)
        if task is None:
            if not (stage.done or stage.total):
                return
            task = self._tasks[stage.name] = self._bars.add_task(stage.name, figure="")
        self._bars.update(task, completed=stage.done, total=total, figure=stage.figure())

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()


class _Stages:
    """The progress of stages that follow one another: one that begins ends the one before it."""

    def __init__(self, view: _View) -> None:
        self._view = view
        self._stages: dict[str, _Stage] = {}
        self._current: _Stage | None = None

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Note how far ``stage`` is."""
        known = self._stages.get(stage)
        if known is None:
            self.close()
            known = self._stages[stage] = self._current = _Stage(stage, unit)
        if not known.is_closed:
            known.done, known.total = done, total
            self._view.update(known)

    def close(self) -> None:
        """Show the stage that runs as done."""
        if self._current is not None and not self._current.is_closed:
            self._current.close()
            self._view.update(self._current)

    def interrupted(self) -> str:
        """Return the line that says what was done before an interrupt."""
        current = self._current
        where = f" in {current.name}" if current is not None and not current.is_closed else ""
        done = ", ".join(f"{stage.figure()} ({stage.name})" for stage in self._stages.values())
        return f"interrupted{where}; done until now: {done or 'nothing'}"


def _write(line: str) -> None:
    """Write to standard error; that nobody reads it is not a reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _open_bars() -> _View:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[figure]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    return _BarsView(Progress(*columns, console=Console(stderr=True)))


@contextlib.contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Show progress while the body runs; after Ctrl-C, what was done until then.

    A terminal shows a bar for each stage, with its total and the time that is left. Otherwise, or
    if TERM is ``dumb``, there is a line every ten seconds.
    """
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    view = _open_bars() if is_terminal else _Lines()
    stages = _Stages(view)
    try:
        yield stages
        stages.close()
    except KeyboardInterrupt:
        view.stop()
        _write(stages.interrupted())
        raise
    finally:
        view.stop()
