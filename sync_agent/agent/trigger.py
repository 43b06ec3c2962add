"""Asking for a pipeline run when new entries have arrived, in a thread of its own.

Reading never waits for it. Entries that arrive while a run is under way, or while somebody else
runs the pipeline, are asked for again afterwards: what counts is up to where a run has *begun*
after the entries were there, so the last lines are never left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from annals.errors import AnalyticsError, DependencyError
from annals.settings import Settings

_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_LOOK_SECONDS = 1.0
_START_SECONDS = 45.0
"""How long the runner of pipelines may be starting too (`annals up`): a note, no warning."""


class Pipelines(Protocol):
    """A runner of pipelines."""

    def run(self, stop: threading.Event) -> bool:
        """Have one run from its beginning, and wait for its end.

        Return False where another run was under way and none was begun. Raises AnalyticsError
        where it failed or cannot be asked for; ends early when ``stop`` is set.
        """


@dataclass(slots=True)
class Asked:
    """What came of the asking so far; ``state`` is idle, waiting, running or failing.

    ``since`` says since when a run has been asked for without one that covers what has arrived, by
    the monotonic clock; None while none is asked for.
    """

    state: str = "idle"
    runs: int = 0
    busy: int = 0
    failures: int = 0
    last_error: str | None = None
    last_run_seconds: float = 0.0
    since: float | None = None

    @property
    def seconds(self) -> float:
        """For how long a run has been asked for."""
        since = self.since
        return 0.0 if since is None else time.monotonic() - since


class Trigger:
    """Asks ``pipelines`` for a run, debounced.

    ``arrived`` counts what was read by this process, ``is_within_reach`` says whether a pipeline
    would find all of it: with a server, that it is shipped. ``failed`` receives the reason why
    there was no run, and whether that is to be expected for now. :meth:`wake` is called after
    commits.
    """

    def __init__(
        self,
        settings: Settings,
        pipelines: Pipelines,
        *,
        arrived: Callable[[], int],
        is_within_reach: Callable[[], bool],
        failed: Callable[[str, bool], None],
    ) -> None:
        self.asked = Asked()
        self._debounce = settings.pipeline_debounce_s
        self._interval = settings.pipeline_interval_s
        self._pipelines = pipelines
        self._arrived = arrived
        self._is_within_reach = is_within_reach
        self._failed = failed
        self._fresh = threading.Event()
        self._stop = threading.Event()
        self._covered = -1  # at the start a run is due: a process before this one may have died
        self._begun_at = float("-inf")
        self._started_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="trigger", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something may have arrived."""
        self._fresh.set()

    def end(self, seconds: float) -> None:
        """Ask no more; a run that was asked for and is another process's own goes on."""
        self._stop.set()
        self._fresh.set()
        self._thread.join(timeout=seconds)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._fresh.clear()
            if self._arrived() == self._covered:
                self.asked.state, self.asked.since = "idle", None
                self._fresh.wait()
                continue
            self._settle()
            if self._stop.is_set():
                return
            failures = 0 if self._ask() else failures + 1
            if failures:
                self._stop.wait(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS)) - 1])

    def _settle(self) -> None:
        """Wait until no more arrives for a moment, and all of it is within reach."""
        self.asked.state = "waiting" if self.asked.state != "failing" else "failing"
        first = changed = time.monotonic()
        seen = self._arrived()
        while not self._stop.is_set():
            now = time.monotonic()
            quiet_at = min(changed + self._debounce, first + self._interval)
            due = max(quiet_at, self._begun_at + self._interval)
            if now >= due and self._is_within_reach():
                return
            self._stop.wait(min(_LOOK_SECONDS, max(due - now, 0.01)) if now < due else 1.0)
            if self._arrived() != seen:
                seen, changed = self._arrived(), time.monotonic()

    def _ask(self) -> bool:
        """Have the pipeline run; return whether all that had arrived before is covered."""
        count, started = self._arrived(), time.monotonic()
        self.asked.state, self.asked.since = "running", self.asked.since or started
        try:
            is_run = self._pipelines.run(self._stop)
        except AnalyticsError as error:
            self._note_failure(
                error.message, is_expected=isinstance(error, DependencyError) and self._is_starting
            )
            return False
        except Exception as error:  # noqa: BLE001 -- the outer edge of this thread
            self._note_failure(type(error).__name__)
            return False
        if not is_run:
            self.asked.busy += 1
            self.asked.state, self.asked.last_error = "waiting", None
            return False
        self._begun_at = started
        self._covered = count
        self.asked.runs += 1
        self.asked.last_error = self.asked.since = None
        self.asked.last_run_seconds = round(time.monotonic() - started, 3)
        return True

    @property
    def _is_starting(self) -> bool:
        """Whether we have just begun, and whom we ask may not be there yet."""
        is_young = time.monotonic() - self._started_at < _START_SECONDS
        return is_young and not (self.asked.runs or self.asked.busy)

    def _note_failure(self, reason: str, *, is_expected: bool = False) -> None:
        self.asked.failures += 1
        self.asked.state, self.asked.last_error = "failing", reason
        self._failed(reason, is_expected)
