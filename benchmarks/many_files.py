"""A history of very many small files: the memory of a sync and of the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.processes import ROOT
from benchmarks.workspaces import Workspace

_FILES, _FILES_IN_A_FOLDER = 300_000, 100
_MOST_MIB = 200.0
_LINE = b'{"type":"user","sessionId":"%08x-0000-4000-8000-000000000000"}\n'


def many_files() -> list[Figure]:
    """Measure ``sync once`` twice, and the agent's start, on 300,000 files of one line."""
    space = Workspace.named("many-files")
    _write(space.transcripts)
    space.forget()
    space.state.mkdir(parents=True)
    figures = []
    for name in ("sync once, all new", "sync once, nothing new"):
        run = space.command("sync", "once")
        peak = round(run.peak_bytes / 2**20, 1)
        detail = run.facts() | {"files": _FILES}
        figures.append(Figure("many-files", name, peak, "MiB", _MOST_MIB, detail=detail))
    figures.append(Figure("many-files", "sync run", _agent_mib(space), "MiB", _MOST_MIB))
    return figures


def _write(root: Path) -> None:
    for number in range(_FILES):
        folder = root / f"-home-u-project-{number // _FILES_IN_A_FOLDER:06d}"
        if number % _FILES_IN_A_FOLDER == 0:
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:08x}-0000-4000-8000-000000000000.jsonl"
        if not path.exists():
            path.write_bytes(_LINE % number)


def _agent_mib(space: Workspace) -> float:
    """Return the resident peak of an agent that has read a new file after its start."""
    process = subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "sync", "run"],
        env=space.environment | {"HEALTH_PORT": "0", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_idle(process.pid)
        path = space.transcripts / "-home-u-project-000000" / f"new-{time.time_ns()}.jsonl"
        path.write_bytes(_LINE % 0)
        _wait_until_idle(process.pid)
        path.unlink()
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(peak.split()[1]) / 1024, 1)


def _wait_until_idle(pid: int) -> None:
    """Wait until the process has used no time for two seconds."""
    before = -1
    while (used := _ticks(pid)) != before:
        before = used
        time.sleep(2)


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) * 10 // os.sysconf("SC_CLK_TCK")
