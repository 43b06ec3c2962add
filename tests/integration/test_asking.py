"""Commands and a live agent, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics.cli import reference
from sync_agent.buffer.store import open_buffer
from tests.conftest import Run, clean_environment
from tests.sync_agent.legacy_service import write_buffer

LINE = b'{"type":"user"}\n'
PATIENCE_SECONDS = 240


@pytest.fixture(autouse=True)
def _needs_an_agent() -> None:
    """Skip where this version has no live agent."""
    if "annals sync run" not in dict(reference.commands()):
        pytest.skip("this version has no `sync run` yet")


@pytest.fixture
def transcript(home: Path) -> Path:
    """Return a transcript with two entries and a broken line."""
    path = home / ".claude" / "projects" / "-p" / "a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(LINE * 2 + b"broken\n")
    return path


@contextlib.contextmanager
def _agent(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "sync", "run"],
        env=clean_environment(home, HEALTH_PORT="0"),
        cwd=home,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said.decode()


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_live_agent_is_asked_and_answers(annals: Run, home: Path, transcript: Path) -> None:
    """B-16 While the agent has the buffer, replay and retry are its work; it answers at once."""
    assert annals("sync", "once").code == 0
    with open_buffer(home / ".claude-sync" / "buffer.db") as buffer:
        buffer.connection.execute("insert into consumers values ('lake', 4, 0)")
    with _agent(home):
        _until(lambda: annals("sync", "status", "--json").data["sync"]["state"] == "running")
        done = annals("sync", "replay", "--json")
        assert done.data["replay"]["requeued"] == 4
        (told,) = annals("sync", "quarantine", "retry", "--all", "--json").data["retried"]
        assert told["outcome"] == "still no entry: not_json"
        with transcript.open("ab") as file:
            file.write(LINE)
        _until(lambda: annals("sync", "status", "--json").data["sync"]["last_seq"] == 10)
    assert annals("sync", "status", "--json").data["sync"]["state"] == "stopped"
    events = [row["event"] for row in annals("sync", "log", "--json").data["log"]]
    assert events == ["read", "replayed", "read"]


def test_a_live_agent_reads_on_behind_what_it_retried(
    annals: Run, home: Path, transcript: Path
) -> None:
    """B-14 What a retry changes in a file's ledger is where the agent reads on from."""
    long_line = b'{"type":"user","text":"' + b"x" * 2_500_000 + b'"}\n'
    transcript.write_bytes(LINE + long_line)
    assert annals("sync", "once", MAX_LINE_BYTES="1500000").code == 0

    def last_seq() -> int:
        return int(annals("sync", "status", "--json").data["sync"]["last_seq"])

    with _agent(home):
        for _ in range(2):
            before = last_seq()
            with transcript.open("ab") as file:
                file.write(LINE)
            _until(lambda before=before: last_seq() > before)  # type: ignore[misc]
            annals("sync", "quarantine", "retry", "--all")
    custody = annals("sync", "once", "--json").data["custody"]
    assert custody["balanced"]
    assert (custody["entries"], custody["quarantined"]) == (4, 0)
    assert annals("sync", "quarantine", "list").out == "nothing is held back\n"


def test_an_agent_outlives_a_knock_at_any_time(annals: Run, home: Path, transcript: Path) -> None:
    """B-16 The signal that wakes an agent with a request does it no harm without one."""
    with _agent(home) as process:
        _until(lambda: annals("sync", "status", "--json").data["sync"]["last_seq"] == 4)
        for _ in range(50):
            os.kill(process.pid, signal.SIGUSR1)
        assert annals("sync", "replay", "--json").data["replay"]["waiting"] == 4


def test_a_live_agent_sets_aside_what_the_original_left(
    annals: Run, home: Path, transcript: Path
) -> None:
    """B-06 The live agent too sets the original's buffer aside, and reads into a new one."""
    path = home / ".claude-sync" / "buffer.db"
    write_buffer(path)
    with _agent(home):
        _until(lambda: annals("sync", "status", "--json").data["sync"]["records"] == 4)
    assert path.with_name("buffer.db.legacy").exists()
    assert "set aside" in annals("sync", "log").out
