"""Progress and logs: on standard error, and only where they are wanted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment

SCRIPT = """
from annals.telemetry.terminal import terminal_progress
with terminal_progress() as progress:
    for done in range(3):
        progress.report("sync", done, 2, unit="bytes")
    progress.report("publish", 1, None, unit="tables")
print("data")
"""
LOGGING = """
import structlog
from annals.telemetry.logs import configure_logs
configure_logs(level="info", json_lines=True)
structlog.get_logger().debug("too quiet")
structlog.get_logger().info("synced", files=3)
"""


def _run(
    code: str, home: Path, *, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(home, TERM="xterm", COLUMNS="80"),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
    )


def test_without_a_terminal_nothing_is_shown(home: Path) -> None:
    """Where standard error is a pipe there is no progress at all."""
    done = _run(SCRIPT, home)
    assert (done.stdout, done.stderr) == ("data\n", "")


def test_on_a_terminal_there_are_bars(home: Path) -> None:
    """Where standard error is a terminal every stage has a bar; standard output stays data."""
    ours, theirs = pty.openpty()
    try:
        done = _run(SCRIPT, home, stderr=theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.stdout == "data\n"
    assert "sync" in shown
    assert "publish" in shown


def test_logs_are_events_on_standard_error(home: Path) -> None:
    """Events of the level and above are JSON lines with their values; others are dropped."""
    done = _run(LOGGING, home)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert (event["event"], event["files"], event["level"]) == ("synced", 3, "info")
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_every_level_of_the_settings_is_one(level: str, home: Path) -> None:
    """Each value that LOG_LEVEL takes can be configured."""
    _run(LOGGING.replace('"info"', f'"{level}"', 1), home)
