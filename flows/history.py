"""What the last run did, noted beside the state it left."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annals.errors import AnalyticsError
from annals.files import make_folder, read_state_text, replace_text
from annals.limits import parse_json
from annals.settings import Settings


@dataclass(slots=True)
class Run:
    """One run of a command; instants are ISO 8601 in UTC.

    ``outcome`` is ``ok`` or the name of the error that ended it, ``counters`` what it did.
    """

    command: str
    started_at: str
    seconds: float = 0.0
    outcome: str = "ok"
    message: str = ""
    counters: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def noted(settings: Settings, command: str) -> Iterator[Run]:
    """Note the run of the body, however it ends; the body fills in the counters.

    Nothing is noted of a run that was refused because another one holds the lock.
    """
    run = Run(command, datetime.now(UTC).isoformat(timespec="seconds"))
    started = time.monotonic()
    try:
        yield run
    except BaseException as error:
        run.outcome = type(error).__name__
        run.message = error.message if isinstance(error, AnalyticsError) else ""
        run.seconds = round(time.monotonic() - started, 3)
        if run.outcome != "LockedError":
            with contextlib.suppress(
                OSError, AnalyticsError
            ):  # the error matters more than its note
                _write(_path(settings), run)
        raise
    run.seconds = round(time.monotonic() - started, 3)
    _write(_path(settings), run)


def last_run(settings: Settings) -> dict[str, Any] | None:
    """Return the note of the last run, or None where there is none that can be read."""
    try:
        note = parse_json(read_state_text(_path(settings)))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def _path(settings: Settings) -> Path:
    return settings.annals_home / "last-run.json"


def _write(path: Path, run: Run) -> None:
    make_folder(path.parent, named=True)
    replace_text(path, json.dumps(asdict(run)))
