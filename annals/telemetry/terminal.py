"""Progress on standard error: a line that moves on a terminal, elsewhere one every ten seconds."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from annals.telemetry.progress import Progress

REPAINT_SECONDS = 0.2
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

    def text(self) -> str:
        """Return the line that says how far the stage is and how long it will take."""
        if self.total is None:
            return f"{self.name:<10}        {self.done:,.0f} {self.unit}, {self._elapsed()}"
        share = min(self.done / self.total, 1) if self.total else 1
        left = f", {_seconds(self._left())} left" if self._left() is not None else ""
        what = f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"
        return f"{self.name:<10} {share:>4.0%}   {what}{left}"

    def final_text(self) -> str:
        """Return the line of a stage that is done."""
        return f"{self.name:<10} 100%   {self.figure()}, {self._elapsed()}"

    def figure(self) -> str:
        """Return how much there was or, of a stage that is not done, is done."""
        return f"{self.done:,.0f} {self.unit}"

    def close(self) -> None:
        """Note that the stage is done: all of its total."""
        self.is_closed = True
        self.done = max(self.done, self.total or 0)

    def _elapsed(self) -> str:
        return _seconds(time.monotonic() - self.started)

    def _left(self) -> float | None:
        elapsed = time.monotonic() - self.started
        if not self.total or not 0 < self.done < self.total or elapsed < _ETA_AFTER_SECONDS:
            return None
        return elapsed * (self.total - self.done) / self.done


def _seconds(number: float | None) -> str:
    whole = round(number or 0)
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"


class _Shown:
    """The progress of stages that follow one another; what is printed is decided by a clock."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._stages: dict[str, _Stage] = {}
        self._current: _Stage | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Note how far ``stage`` is; a stage that begins ends the one before it."""
        known = self._stages.get(stage)
        if known is None:
            known = _Stage(stage, unit)
            with self._lock:
                self._close()
                self._stages[stage] = self._current = known
        if not known.is_closed:
            known.done, known.total = done, total

    def finish(self) -> None:
        """Show the last stage as done, and stop."""
        self.stop()
        with self._lock:
            self._close()

    def stop(self) -> None:
        """Stop, and leave the line as it is."""
        self._ended.set()
        self._clock.join()

    def say_kept(self) -> None:
        """Print what was done before an interrupt."""
        current = self._current
        done = [stage.figure() + f" ({stage.name})" for stage in self._stages.values()]
        if current is not None:
            where = "" if current.is_closed else f" in {current.name}"
            self._print(f"interrupted{where}; done until now: {', '.join(done)}")

    def _close(self) -> None:
        if self._current is not None and not self._current.is_closed:
            self._current.close()
            if self._is_terminal and self._current.done:
                self._print(self._current.final_text())

    def _tick(self) -> None:
        while not self._ended.wait(REPAINT_SECONDS if self._is_terminal else LINE_SECONDS):
            with self._lock:
                if self._current is not None and not self._current.is_closed:
                    self._paint(self._current.text())

    def _paint(self, text: str) -> None:
        if not self._is_terminal:
            self._print(text)
            return
        room = shutil.get_terminal_size().columns - 1
        _write(f"\r{text[:room]:<{room}}\r")

    def _print(self, text: str) -> None:
        """Print a line over the one that moves."""
        room = shutil.get_terminal_size().columns - 1
        _write(f"{text:<{room}}\n" if self._is_terminal else f"{text}\n")


def _write(text: str) -> None:
    """Write to standard error; that nobody reads it is not a reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextlib.contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Show progress while the body runs; after Ctrl-C, what was done until then.

    A terminal shows the stage that runs, and each finished one with its total. Otherwise, or if
    TERM is ``dumb``, there is a line every ten seconds.
    """
    shown = _Shown(is_terminal=sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb")
    try:
        yield shown
    except KeyboardInterrupt:
        shown.stop()
        shown.say_kept()
        raise
    except BaseException:
        shown.stop()
        raise
    shown.finish()
