"""From files to a server: a backlog, lines as they come, and what waited while it was away.

The server is ``benchmarks.sink``, which keeps nothing: what is measured is the agent. The peer
(rsyslog with its MongoDB output) reads such files into such a server, where it is installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.figures import Figure
from benchmarks.live import DEFAULT_LATENCY_MS, LATENCIES_MS, Agent, agent, until
from benchmarks.processes import ROOT
from benchmarks.workspaces import Workspace

_BACKLOG_LINES, _RUNS = 66_000, 3
_FILES, _RATE, _SECONDS = 1_000, 300, 12
_OUTAGE_LINES, _DEATHS = 1_080_000, 50
_RSYSLOG_LINES = 6_600
_RSYSLOG = """
module(load="imfile" mode="inotify")
module(load="ommongodb")
global(workDirectory="{work}" maxMessageSize="64m")
main_queue(queue.size="100000" queue.dequeueBatchSize="1000")
template(name="line" type="list" option.jsonf="on") {{
    property(outname="raw" name="msg" format="jsonf")
    property(outname="file" name="$!metadata!filename" format="jsonf")
}}
input(type="imfile" file="{files}" tag="t" freshStartTail="off" addMetadata="on" ruleset="out")
ruleset(name="out") {{
    action(type="ommongodb" uristr="{uri}" db="claude_logs" collection="conversations"
           template="line")
}}
"""


class Sink:
    """A running sink, and questions to it."""

    def __init__(self, port: int) -> None:
        import pymongo

        self.uri = f"mongodb://127.0.0.1:{port}/"
        self._client: Any = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=20_000)

    def stats(self, **wanted: bool) -> dict[str, Any]:
        """Return the counts so far, and the ages since the last question."""
        found: dict[str, Any] = self._client.admin.command("annalsStats", **wanted)
        return found

    def close(self) -> None:
        """Leave it."""
        self._client.close()


@contextlib.contextmanager
def sink(port: int | None = None) -> Iterator[Sink]:
    """Run a sink while the body runs."""
    port = port or _free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink", str(port)], cwd=ROOT)
    found = Sink(port)
    try:
        found.stats()
        yield found
    finally:
        found.close()
        process.terminate()
        process.wait()


def ship_backlog() -> list[Figure]:
    """Measure 66,000 lines from files to acknowledged by the sink, and half of them."""
    figures = []
    rate = 0.0
    for lines in (_BACKLOG_LINES // 2, _BACKLOG_LINES):
        space = Workspace.named(f"backlog-{lines}-8")
        space.write("backlog", lines=lines, longest=8)
        runs = sorted(_shipped(space, lines) for _ in range(_RUNS))
        seconds = median(run[0] for run in runs)
        rate = lines / seconds
        detail = {"cpu_seconds": runs[_RUNS // 2][1], "load": os.getloadavg()[0]}
        detail |= {"peak_mib": max(run[2] for run in runs)}
        target = 2.2 if lines == _BACKLOG_LINES else None
        name = f"{lines:,} lines to the sink"
        figures.append(Figure("ship", name, round(seconds, 2), "s", target, detail=detail))
    if shutil.which("rsyslogd") is None:
        return figures
    peer = _rsyslog_rate()
    figures.append(Figure("ship", "rsyslog", round(peer), "lines/s"))
    ratio = round(rate / peer, 2)
    figures.append(Figure("ship", "Annals / rsyslog", ratio, "x", 3, at_least=True))
    return figures


def _shipped(space: Workspace, lines: int) -> tuple[float, float, float]:
    """Return seconds from the agent's start to the last line, its processor time and its memory."""
    space.forget()
    with sink() as server, agent(space, MONGO_URI=server.uri) as running:
        peak = 0.0

        def is_done() -> bool:
            nonlocal peak
            peak = max(peak, running.resident_mib())
            return bool(server.stats()["documents"] >= lines)

        seconds = until(is_done, every=0.02)
        return seconds, running.cpu_seconds(), round(peak, 1)


def _rsyslog_rate() -> float:
    """Return the lines a second that rsyslog takes from a tenth of the files to a sink."""
    space = Workspace.named(f"backlog-{_RSYSLOG_LINES}-1")
    space.write("tree", lines=_RSYSLOG_LINES)
    work = space.folder / "rsyslog"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with sink() as server:
        told = _RSYSLOG.format(work=work, files=f"{space.transcripts}/*/*.jsonl", uri=server.uri)
        (work / "conf").write_text(told)
        wanted = sum(path.read_bytes().count(b"\n") for path in space.transcripts.glob("*/*.jsonl"))
        command = ["rsyslogd", "-n", "-f", str(work / "conf"), "-i", str(work / "pid")]
        process = subprocess.Popen(command)
        try:
            seconds = until(lambda: server.stats()["documents"] >= wanted, every=0.02)
        finally:
            process.terminate()
            process.wait()
    return wanted / seconds


def ship_live() -> list[Figure]:
    """Measure 300 lines a second into 1,000 files to the sink, for each latency that may be set."""
    figures = []
    for latency in LATENCIES_MS:
        ages, share = _live(latency)
        cuts = quantiles(ages, n=100)
        is_default = latency == DEFAULT_LATENCY_MS
        name = f"{_RATE} lines/s to the sink, WATCH_LATENCY_MS={latency}"
        detail = {"worst_ms": max(ages), "load": os.getloadavg()[0]}
        lost = _RATE * _SECONDS - len(ages)
        figures += [
            Figure("ship live", f"{name}: {what}", round(value, 2), unit,
                   target if is_default else None, detail=detail)
            for what, value, unit, target in (
                ("p50", cuts[49], "ms", 5),
                ("p99", cuts[98], "ms", 10),
                ("of a core", share, "%", 20),
                ("not delivered", lost, "lines", 0),
            )
        ]  # fmt: skip
    return figures


def _live(latency: float) -> tuple[list[float], float]:
    """Return each line's milliseconds from the append to the sink, and the agent's share."""
    space = Workspace.named("ship-live")
    space.forget()
    shutil.rmtree(space.transcripts, ignore_errors=True)
    space.change("tree", lines=_FILES, files=_FILES)
    settings = {"WATCH_LATENCY_MS": str(latency)}
    with sink() as server, agent(space, MONGO_URI=server.uri, **settings) as running:
        until(lambda: running.ask("/ready"), every=0.1)
        until(lambda: server.stats(ages=True)["documents"] >= _FILES, every=0.1)
        before, started = running.cpu_seconds(), time.perf_counter()
        _append_in_step(space)
        ages: list[float] = []
        with contextlib.suppress(TimeoutError):
            until(lambda: ages.extend(server.stats()["ages"]) or len(ages) >= _RATE * _SECONDS)
        share = (running.cpu_seconds() - before) / (time.perf_counter() - started) * 100
    return ages, share


def _append_in_step(space: Workspace) -> None:
    """Append lines that say when they were written, to one file after another."""
    paths = sorted(space.transcripts.rglob("*.jsonl"))
    started = time.perf_counter()
    for number in range(_RATE * _SECONDS):
        time.sleep(max(0.0, started + number / _RATE - time.perf_counter()))
        told = {"type": "user", "at": time.perf_counter(), "x": "x" * 400}
        with paths[number * 7919 % len(paths)].open("ab", buffering=0) as file:
            file.write(json.dumps(told).encode() + b"\n")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def outage() -> list[Figure]:
    """Measure an hour of lines that waited for the sink, the agent killed 50 times meanwhile."""
    space = Workspace.named("outage")
    space.forget()
    shutil.rmtree(space.transcripts, ignore_errors=True)
    port = _free_port()
    source = Workspace.named("outage-source")
    source.write("tree", lines=_OUTAGE_LINES)
    lines = sum(path.read_bytes().count(b"\n") for path in source.transcripts.rglob("*.jsonl"))
    settings = {"MONGO_URI": f"mongodb://127.0.0.1:{port}/"}
    _copy_under_fire(source.transcripts, space, settings)
    with agent(space, **settings) as running:
        until(lambda: (running.ask("/ready") or {}).get("ready"), every=0.2)
        with sink(port) as server:
            seconds = until(lambda: server.stats()["documents"] >= lines, every=0.1)
            peak = running.resident_mib()
    detail = {"lines": lines, "memory_mib": round(peak, 1), "load": os.getloadavg()[0]}
    return [Figure("outage", "an hour of lines drained", round(seconds, 1), "s", 60, detail=detail)]


def _copy_under_fire(source: Path, space: Workspace, settings: dict[str, str]) -> None:
    """Bring the files below the watched root while the agent is killed again and again."""
    chance = random.Random(1)  # noqa: S311 -- the same moments each time
    paths = sorted(source.rglob("*.jsonl"))
    share = len(paths) // _DEATHS + 1
    for death in range(_DEATHS):
        with agent(space, **settings) as running:
            for path in paths[death * share : (death + 1) * share]:
                target = space.transcripts / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            time.sleep(chance.random())
            _kill(running)


def _kill(running: Agent) -> None:
    with contextlib.suppress(ProcessLookupError):
        running.process.send_signal(signal.SIGKILL)
    running.process.wait()
