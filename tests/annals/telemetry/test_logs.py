"""Log events in files: rotated, and with the names of the original service."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from annals.errors import SettingsError
from annals.settings import load_settings
from annals.telemetry.logs import (
    LogFile,
    configure_logs,
    configure_logs_from,
    log_event,
    log_watcher_event,
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave no handler and no configuration behind."""
    yield
    structlog.reset_defaults()
    logger = logging.getLogger("annals")
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def test_a_log_file_is_rotated_by_size_and_count(tmp_path: Path) -> None:
    """No file grows past the size, and no more old ones are kept than asked for."""
    path = tmp_path / "logs" / "sync.log"
    configure_logs(level="info", json_lines=True, file=LogFile(path, 2_000, 2))
    for number in range(200):
        log_event("shipped", number=number)
    names = sorted(one.name for one in path.parent.iterdir())
    assert names == ["sync.log", "sync.log.1", "sync.log.2"]
    assert all(one.stat().st_size <= 2_000 for one in path.parent.iterdir())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["number"] == 199
    oldest = json.loads((path.parent / "sync.log.2").read_text().splitlines()[0])
    assert oldest["number"] > 0


def test_a_watcher_event_has_the_names_of_the_original(tmp_path: Path) -> None:
    """The event, the file's name without its folder, and the time it took, under those names."""
    path = tmp_path / "sync.log"
    configure_logs(level="info", json_lines=True, file=LogFile(path, 10_000, 1))
    log_watcher_event("change", b"/home/ada/.claude/projects/-p/a.jsonl", milliseconds=1.23456)
    line = json.loads(path.read_text())
    assert line["message"] == "watcher_event_processed"
    assert (line["event"], line["file"], line["processingTime"]) == ("change", "a.jsonl", 1.235)
    assert "ada" not in path.read_text()
    assert line["timestamp"].endswith("Z")


def test_text_has_no_colours_in_a_file(tmp_path: Path) -> None:
    """A text log is plain lines, the watcher's change under a name of its own."""
    settings = load_settings(log_file=tmp_path / "sync.log", log_level="info")
    configure_logs_from(settings)
    log_watcher_event("add", "/x/b.jsonl", milliseconds=2)
    text = (tmp_path / "sync.log").read_text()
    assert re.search(r"watcher_event_processed +change=add file=b.jsonl processingTime=2", text)
    assert "\x1b" not in text


def test_a_level_holds_for_files_too(tmp_path: Path) -> None:
    """Events below the level are not in the file; a new configuration closes the old file."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    configure_logs(level="error", json_lines=True, file=LogFile(first, 10_000, 1))
    log_event("quiet")
    configure_logs(level="info", json_lines=True, file=LogFile(second, 10_000, 1))
    log_event("loud")
    assert first.read_text() == ""
    assert json.loads(second.read_text())["event"] == "loud"


def test_a_file_that_cannot_be_written_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    """LOG_FILE below a file is exit 3, with the setting's name in the hint."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as told:
        configure_logs_from(load_settings(log_file=tmp_path / "file" / "sync.log"))
    assert "LOG_FILE" in told.value.hint
