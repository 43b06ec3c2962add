"""What a flow run works with: its settings, its log, and how long each stage took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from prefect.logging import get_run_logger

from annals.errors import AnalyticsError, SettingsError
from annals.settings import Settings, load_settings
from annals.settings.sample import sample_settings, wants_sample
from annals.telemetry import Progress
from flows.prefect.cleaning import clean_states_and_logs

Source = Literal["auto", "mongodb", "buffer"]
"""Where records are extracted from; ``auto`` is MongoDB where MONGO_URI is set."""

_LOG_SECONDS = 30.0


class Work:
    """Settings, progress, stopwatch and reports of one flow run.

    A plain class, so that Prefect hands it to tasks as it is: what it knows how to take apart
    (data classes, models), it looks through for results of other tasks.
    """

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self.settings = settings
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.reports: dict[str, object] = {}

    def timed(self, stage: str, function: Callable[[], Any]) -> Any:
        """Call ``function`` and log what it reports: its counters and how long it took.

        An error of ours leaves without what it came from: Prefect logs all of it, and a library's
        words are not checked for secrets. Its message says what happened.
        """
        started = time.monotonic()
        try:
            report = function()
        except AnalyticsError as error:
            raise error.with_traceback(None) from None
        self.seconds[stage] = time.monotonic() - started
        self.reports[stage] = report
        told = " ".join(f"{name}={number}" for name, number in counters(report).items())
        get_run_logger().info("%s: %s seconds=%.2f", stage, told, self.seconds[stage])
        return report


_GIVEN: ContextVar[Work | None] = ContextVar("annals_work", default=None)


@contextlib.contextmanager
def given(settings: Settings, progress: Progress) -> Iterator[None]:
    """Let flows that are called in the body work with these settings, not with those they find."""
    token = _GIVEN.set(Work(settings, progress))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def is_given() -> bool:
    """Tell whether the command line runs this flow, and not a worker."""
    return _GIVEN.get() is not None


def begin(source: Source = "auto") -> Work:
    """Return what this flow run works with, as a command with the same environment would.

    Raises SettingsError (exit 3) where ``source`` is MongoDB and MONGO_URI is not set.
    """
    clean_states_and_logs()
    work = _GIVEN.get()
    if work is None:
        settings = load_settings()
        found = sample_settings(settings) if wants_sample(settings) else settings
        work = Work(found, _LoggedProgress())
    return Work(_from(work.settings, source), work.progress)


def _from(settings: Settings, source: Source) -> Settings:
    if source == "buffer":
        return settings.model_copy(update={"mongo_uri": None})
    if source == "mongodb" and settings.mongo_uri is None:
        raise SettingsError(
            "MongoDB was asked for as the source, but MONGO_URI is not set",
            hint="Set MONGO_URI for the worker, or choose the source `auto` or `buffer`.",
        )
    return settings


def counters(report: object) -> dict[str, int]:
    """Return the whole numbers of a stage's report by their names."""
    if not is_dataclass(report):
        return {}
    found = ((item.name, getattr(report, item.name)) for item in fields(report))
    return {
        name: int(value)
        for name, value in found
        if isinstance(value, int) and not name.endswith("_id")
    }


class _LoggedProgress:
    """A progress that is logged every half minute: a backfill may take an hour."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Log how far the stage is, unless that was said a moment ago."""
        now = time.monotonic()
        if now - self._last < _LOG_SECONDS:
            return
        self._last = now
        of = "" if total is None else f" of {total:,.0f}"
        with contextlib.suppress(Exception):  # outside a run there is no log to write to
            get_run_logger().info("%s: %s%s %s so far", stage, f"{done:,.0f}", of, unit)
