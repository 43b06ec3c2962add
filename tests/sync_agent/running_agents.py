"""A running agent: the real command in a process of its own, and questions to it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import clean_environment
from tests.sync_agent.places import Place

PATIENCE = 240.0
"""Seconds after which something that should have happened counts as not happening."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A running ``sync run`` on a place."""

    process: subprocess.Popen[bytes]
    place: Place
    port: int
    log: Path

    def get(self, endpoint: str) -> tuple[int, str]:
        """Return status and body of an endpoint; raises URLError where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{endpoint}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def health(self) -> dict[str, Any]:
        """Return what ``/health`` says."""
        found: dict[str, Any] = json.loads(self.get("/health")[1])
        return found

    def is_ready(self) -> bool:
        """Return whether everything is read that was there at the start."""
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False

    def has(self, lines: int) -> Callable[[], bool]:
        """Return a question: whether so many entries are in the buffer."""

        def asked() -> bool:
            count = "select count(*) from records where record_kind = 'entry'"
            try:
                return bool(self.place.query(count)[0][0] >= lines)
            except sqlite3.OperationalError:  # the tables are not made yet
                return False

        return asked

    def said(self, text: str) -> Callable[[], bool]:
        """Return a question: whether the agent has written ``text`` to standard error."""
        return lambda: text in self.told()

    def told(self) -> str:
        """Return what it has written to standard error."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


def until(question: Callable[[], object]) -> float:
    """Wait until the answer is yes; return the seconds that took."""
    started = asked = time.monotonic()
    while not question():
        now = time.monotonic()
        assert now - started < PATIENCE, "it did not happen"
        time.sleep(max(0.01, 4 * (now - asked)))  # asking must not be what takes the time
        asked = time.monotonic()
    return time.monotonic() - started


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _own_settings(place: Place) -> dict[str, str]:
    return {
        "CLAUDE_DIR": str(place.settings.claude_dir),
        "SQLITE_PATH": str(place.settings.sqlite_path),
        "ANNALS_HOME": str(place.settings.annals_home),
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "json",
    }


@contextlib.contextmanager
def running(
    place: Place, *before: str, ready: bool = True, pass_fds: tuple[int, ...] = (), **settings: str
) -> Iterator[Agent]:
    """Run the agent on ``place`` while the body runs; it is killed if it is still there then.

    ``before`` are words before the command, such as another program that starts it.
    """
    port = int(settings.setdefault("HEALTH_PORT", str(free_port())))
    home = place.settings.annals_home
    home.mkdir(parents=True, exist_ok=True)
    log = home / f"agent-{port}.txt"
    environment = clean_environment(home, **(_own_settings(place) | settings))
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "analytics.cli", "sync", "run"],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            pass_fds=pass_fds,
        )
    agent = Agent(process, place, port, log)
    try:
        if ready:
            until(agent.is_ready)
        yield agent
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
