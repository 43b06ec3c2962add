"""Progress and logs: on standard error, and only where they are wanted."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment

SCRIPT = """
from annals.telemetry import terminal
terminal.LINE_SECONDS = 0.05
def wait():
    import time
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(0.01)
with terminal.terminal_progress() as progress:
    for done in range(3):
        progress.report("sync", done * 500, 1000, unit="bytes")
        wait()
    progress.report("load", 0, 0, unit="files")
    progress.report("publish", 1, None, unit="tables")
    wait()
    ENDING
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
    code: str, home: Path, *, stderr: int = subprocess.PIPE, **changes: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(home, **{"TERM": "xterm", "COLUMNS": "80"} | changes),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
    )


def _script(*, seconds: float, ending: str = "") -> str:
    return SCRIPT.replace("+ SECONDS", f"+ {seconds}").replace("ENDING", ending or "pass")


def _on_terminal(code: str, home: Path, **changes: str) -> str:
    ours, theirs = pty.openpty()
    try:
        done = _run(code, home, stderr=theirs, **changes)
    finally:
        os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end is closed, and all of it was read
        pass
    finally:
        os.close(ours)
    assert done.stdout == "data\n"
    return shown.decode()


def test_a_short_command_without_a_terminal_shows_nothing(home: Path) -> None:
    """A line is due only after ten seconds."""
    code = _script(seconds=0).replace("terminal.LINE_SECONDS = 0.05", "terminal.LINE_SECONDS")
    done = _run(code, home)
    assert (done.stdout, done.stderr) == ("data\n", "")


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_long_one_prints_whole_lines(term: str, home: Path) -> None:
    """Into a pipe, and to a terminal that cannot move its cursor, whole lines go."""
    code = _script(seconds=0.2)
    text = _on_terminal(code, home, TERM=term) if term else _run(code, home).stderr
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "sync: 50%, 500 of 1,000 bytes" in lines
    assert any(line.startswith("publish: 1 tables,") for line in lines)
    assert "\x1b" not in text
    assert "\r" not in text.replace("\r\n", "\n")


def test_on_a_terminal_every_stage_ends_at_its_total(home: Path) -> None:
    """The bar of each ends at 100 % and says how much it was; a stage without work has none."""
    shown = _words(_on_terminal(_script(seconds=0.2), home))
    assert " 50% 500 of 1,000 bytes " in shown
    last = shown.rpartition(" sync ")[2]
    assert " 100% 1,000 bytes " in last.partition(" publish ")[0], shown
    assert " 100% 1 tables " in last.partition(" publish ")[2], shown
    assert "load" not in shown


def _words(shown: str) -> str:
    """Return what a terminal shows without its codes, with one space between words."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown).split())


def test_how_long_it_will_take_is_said(home: Path) -> None:
    """After a second of work there is an estimate, from what is done until then."""
    code = _script(seconds=1.2)
    assert " s left" in _run(code, home).stderr


def test_a_narrow_terminal_is_not_overrun(home: Path) -> None:
    """A bar is never wider than the terminal."""
    shown = _on_terminal(_script(seconds=0.1), home, COLUMNS="40")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert max(len(piece) for piece in text.replace("\n", "\r").split("\r")) <= 40


def test_an_interrupt_says_what_was_done(home: Path) -> None:
    """The stage that was interrupted is named, and how far each had come."""
    code = _script(seconds=0, ending="raise KeyboardInterrupt")
    code = (
        "try:\n"
        + "".join(f"    {line}\n" for line in code.splitlines())
        + "except KeyboardInterrupt: pass\n"
    )
    done = _run(code, home)
    assert done.stderr.splitlines()[-1] == (
        "interrupted in publish; done until now:"
        " 1,000 bytes (sync), 0 files (load), 1 tables (publish)"
    )


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
