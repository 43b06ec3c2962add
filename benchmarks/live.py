"""The agent while it runs: from an append to durable in the buffer, at rest, at its start."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
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
from statistics import quantiles
from typing import Any

from benchmarks.figures import Figure
from benchmarks.processes import ROOT
from benchmarks.workspaces import Workspace

_FILES, _RATE, _SECONDS = 1_000, 300, 12
_RESTING_FILES, _SETTLE_SECONDS, _REST_SECONDS = 10_000, 110, 180
_AT_ONCE = 30_000
LATENCIES_MS, DEFAULT_LATENCY_MS = (0, 3, 20, 100), 3
_DEADLINE_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Agent:
    """A running ``sync run``."""

    process: subprocess.Popen[bytes]
    port: int
    buffer: Path

    def cpu_seconds(self) -> float:
        """Return the processor time it has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mib(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def ask(self, endpoint: str) -> dict[str, Any] | None:
        """Return what an endpoint answers, None where it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{endpoint}") as answer:
                found: dict[str, Any] = json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            return None
        return found


@contextlib.contextmanager
def agent(space: Workspace, **settings: str) -> Iterator[Agent]:
    """Run the agent in ``space`` while the body runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = space.environment | {"PYTHONPATH": str(ROOT), "HEALTH_PORT": str(port)}
    space.transcripts.mkdir(parents=True, exist_ok=True)
    with (space.folder / "agent.txt").open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "analytics.cli", "sync", "run"],
            cwd=space.folder,
            env=environment | settings,
            stdin=subprocess.DEVNULL,
            stderr=told,
        )
        try:
            yield Agent(process, port, space.state / "buffer.db")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def until(done: Callable[[], object], *, every: float = 0.005) -> float:
    """Wait until ``done`` and return the seconds that took; raises TimeoutError."""
    started = time.perf_counter()
    while not done():
        if time.perf_counter() - started > _DEADLINE_SECONDS:
            raise TimeoutError
        time.sleep(every)
    return time.perf_counter() - started


def live() -> list[Figure]:
    """Measure 300 lines a second into 1,000 files, for each latency that may be set."""
    figures = []
    for latency in LATENCIES_MS:
        space = Workspace.named("live")
        space.forget()
        space.write("tree", lines=_FILES, files=_FILES)
        with agent(space, WATCH_LATENCY_MS=str(latency)) as running:
            until(lambda: running.ask("/ready"), every=0.1)
            times, share = _trickle(space, running)
        cuts = quantiles(times, n=100)
        is_default = latency == DEFAULT_LATENCY_MS
        name = f"{_RATE} lines/s, WATCH_LATENCY_MS={latency}"
        detail = {"worst_ms": max(times), "load": os.getloadavg()[0]}
        figures += [
            Figure("live", f"{name}: p50", round(cuts[49], 2), "ms", 5 if is_default else None),
            Figure("live", f"{name}: p99", round(cuts[98], 2), "ms", 10 if is_default else None),
            Figure("live", f"{name}: of a core", share, "%", 20 if is_default else None,
                   detail=detail),
        ]  # fmt: skip
        if is_default:
            lost = _RATE * _SECONDS - len(times)
            figures.append(Figure("live", f"{name}: lines not delivered", lost, "lines", 0))
    return figures


def _trickle(space: Workspace, running: Agent) -> tuple[list[float], float]:
    """Append lines in step; return each one's milliseconds to durable, and the agent's share."""
    paths = sorted(space.transcripts.rglob("*.jsonl"))
    padding = "x" * 400
    connection = sqlite3.connect(f"file:{running.buffer}?mode=ro", uri=True)
    (seen,) = connection.execute("select max(seq) from records").fetchone()
    written, times = 0, []
    before, started = running.cpu_seconds(), time.perf_counter()
    while len(times) < _RATE * _SECONDS:
        now = time.perf_counter()
        if now - started > _SECONDS + 5:
            break
        if written < _RATE * _SECONDS and now - started >= written / _RATE:
            with paths[written * 7919 % len(paths)].open("ab", buffering=0) as file:
                file.write(
                    json.dumps({"type": "user", "at": time.perf_counter(), "x": padding}).encode()
                    + b"\n"
                )
            written += 1
        rows = connection.execute(
            "select seq, raw, record_kind from records where seq > ?", (seen,)
        )
        for seq, raw, kind in rows.fetchall():
            seen = seq
            if kind == "entry":
                times.append((time.perf_counter() - json.loads(raw)["at"]) * 1000)
        time.sleep(0.0003)
    share = (running.cpu_seconds() - before) / (time.perf_counter() - started)
    connection.close()
    return times, round(share * 100, 2)


def rest() -> list[Figure]:
    """Measure the agent at rest on 10,000 files, and how it starts on them."""
    space = Workspace.named("resting")
    space.write("tree", lines=_RESTING_FILES, files=_RESTING_FILES)
    space.command("sync", "once")
    with agent(space) as running:
        seconds = until(lambda: (running.ask("/ready") or {}).get("ready"))
        read = (running.ask("/health") or {}).get("lagBytes", -1)
        time.sleep(_SETTLE_SECONDS)
        before = running.cpu_seconds()
        time.sleep(_REST_SECONDS)
        share = (running.cpu_seconds() - before) / _REST_SECONDS * 100
        memory = running.resident_mib()
    name = f"{_RESTING_FILES:,} files"
    detail = {"load": os.getloadavg()[0], "bytes_left": read}
    return [
        Figure("rest", f"{name}: of a core", round(share, 3), "%", 0.1, detail=detail),
        Figure("rest", f"{name}: memory", round(memory, 1), "MiB", 80),
        Figure("rest", f"{name}: restart to ready, imports included", round(seconds, 3), "s"),
    ]


_RESTART = """
import gc, json, threading, time
gc.set_threshold(50_000, 20, 20)  # as the command line does
from annals.settings import load_settings
from annals.watching import kernel_events as inotify
from sync_agent.reading.activity import Activity
from sync_agent.reading.event_log import Logbook
from sync_agent.agent.read_loop import Rounds
settings, activity = load_settings(), Activity()
started, work = time.perf_counter(), time.process_time()
rounds = Rounds(settings, activity=activity, log=Logbook(settings), committed=lambda: None,
                replacing=lambda begins: None)
thread = threading.Thread(target=rounds.run)
thread.start()
while not activity.is_ready:
    time.sleep(0.001)
found = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - work}
rounds.stop(time.monotonic() + 10)
thread.join()
print(json.dumps(found | {"bytes_read": activity.bytes_read, "files": settings.claude_dir.name}))
"""


def restart() -> list[Figure]:
    """Measure the work of a restart on 10,000 files of which none has changed."""
    space = Workspace.named("resting")
    space.write("tree", lines=_RESTING_FILES, files=_RESTING_FILES)
    space.command("sync", "once")
    runs = [space.python("-c", _RESTART).last_json() for _ in range(5)]
    runs.sort(key=lambda run: run["seconds"])
    found = runs[2]
    name = f"{_RESTING_FILES:,} unchanged files"
    milliseconds = round(found["seconds"] * 1000, 1)
    detail = {"cpu_ms": round(found["cpu"] * 1000, 1), "load": os.getloadavg()[0]}
    return [
        Figure("restart", f"{name}, after imports", milliseconds, "ms", 150, detail=detail),
        Figure("restart", f"{name}: content bytes read", found["bytes_read"], "bytes", 0),
    ]


def begin() -> list[Figure]:
    """Measure from the start of the process to the first line durable in the buffer."""
    space = Workspace.named("begin")
    times = []
    for _ in range(5):
        space.forget()
        space.write("tree", lines=10, files=1)
        with agent(space) as running:
            times.append(until(lambda: _has_record(running.buffer), every=0.002))
    times.sort()
    return [Figure("begin", "start to first line", round(times[2], 3), "s", 0.5)]


def _has_record(path: Path) -> bool:
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            row = connection.execute("select 1 from records where record_kind = 'entry'").fetchone()
        except sqlite3.OperationalError:
            return False
    return row is not None


def at_once() -> list[Figure]:
    """Measure 30,000 files that appear at once below a watched folder."""
    space = Workspace.named("at-once")
    space.forget()
    aside = space.folder / "aside"
    for path in (aside, space.transcripts):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    for number in range(_AT_ONCE):
        path = aside / f"-project-{number % 300}" / f"{number:08}-0000-4000-8000-000000000000.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"type": "user", "n": number, "x": "x" * 400}) + "\n")
    try:
        with agent(space) as running:
            until(lambda: (running.ask("/ready") or {}).get("ready"))
            for project in sorted(aside.iterdir()):
                project.rename(space.transcripts / project.name)
            connection = sqlite3.connect(f"file:{running.buffer}?mode=ro", uri=True)
            query = "select count(*) from files"
            seconds = until(lambda: connection.execute(query).fetchone()[0] >= _AT_ONCE, every=0.05)
            connection.close()
            missed = (running.ask("/health") or {})["watchMissedTotal"]
    finally:
        shutil.rmtree(space.transcripts)
    detail = {"missed": missed, "load": os.getloadavg()[0]}
    name = f"{_AT_ONCE:,} files appear"
    return [Figure("at once", name, round(seconds, 2), "s", 5, detail=detail)]
