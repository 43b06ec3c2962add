"""The note of the last run."""

from __future__ import annotations

from pathlib import Path

import pytest

from annals.errors import DiskFullError, LockedError
from annals.settings import load_settings
from flows.history import last_run, noted


def test_a_run_is_noted_with_its_counters() -> None:
    """After a run its command, outcome, time and counters can be read."""
    settings = load_settings()
    assert last_run(settings) is None
    with noted(settings, "pipeline") as run:
        run.counters = {"entries_new": 3}
    note = last_run(settings)
    assert note is not None
    assert (note["command"], note["outcome"], note["counters"]) == (
        "pipeline",
        "ok",
        {"entries_new": 3},
    )
    assert note["seconds"] >= 0


def test_a_failure_is_noted_and_goes_on() -> None:
    """An error is noted by its name and message, and still raised."""
    settings = load_settings()
    with pytest.raises(DiskFullError), noted(settings, "pipeline"):
        raise DiskFullError("no space left", hint="make some")
    note = last_run(settings)
    assert note is not None
    assert (note["outcome"], note["message"]) == ("DiskFullError", "no space left")


def test_a_refused_run_leaves_the_note_of_the_running_one() -> None:
    """A run that another one's lock refused is not the last run."""
    settings = load_settings()
    with noted(settings, "pipeline"):
        pass
    with pytest.raises(LockedError), noted(settings, "pipeline"):
        raise LockedError("busy", hint="wait")
    note = last_run(settings)
    assert note is not None
    assert note["outcome"] == "ok"


def test_an_error_is_not_hidden_by_its_note(home: Path) -> None:
    """Where not even the note can be written, the run's own error is raised."""
    (home / ".annals").write_text("a file where the folder should be")
    with pytest.raises(DiskFullError), noted(load_settings(), "pipeline"):
        raise DiskFullError("no space left", hint="make some")


def test_a_note_that_is_broken_is_none(home: Path) -> None:
    """A note that is not JSON counts as none."""
    (home / ".annals").mkdir()
    (home / ".annals" / "last-run.json").write_text("{")
    assert last_run(load_settings()) is None
