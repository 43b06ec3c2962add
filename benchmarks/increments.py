"""Incremental: a backlog into the buffer, nothing new, one line more, a thousand lines more."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.figures import Figure
from benchmarks.processes import Finished
from benchmarks.workspaces import STAGES, Workspace

_BACKLOG_LINES = 66_000
_MIB = 2**20
_RUNS = 3
_ADDED = 1_000


def backlog() -> list[Figure]:
    """Measure files to durable buffer: 66,000 lines, half of them, and one line of 60 MiB."""
    figures = []
    for lines in (_BACKLOG_LINES // 2, _BACKLOG_LINES):
        found, seconds = _read_backlog(lines, 8)
        detail = found.facts() | found.last_json()["stages"][0]["report"]
        target = 2.2 if lines == _BACKLOG_LINES else None
        figures.append(Figure("backlog", f"{lines:,} lines", seconds, "s", target, detail=detail))
    peak = round(found.peak_bytes / _MIB, 1)
    figures.append(Figure("backlog", "memory, lines to 8 MiB", peak, "MiB", 120))
    found, seconds = _read_backlog(1_000, 60)
    peak = round(found.peak_bytes / _MIB, 1)
    detail = found.facts() | {"seconds": seconds}
    figures.append(Figure("backlog", "memory, a line of 60 MiB", peak, "MiB", 200, detail=detail))
    return figures


def _read_backlog(lines: int, longest: int) -> tuple[Finished, float]:
    """Return the run with the median time of ``sync once`` after imports, and that time."""
    space = Workspace.named(f"backlog-{lines}-{longest}")
    space.write("backlog", lines=lines, longest=longest)
    runs = []
    for _ in range(_RUNS):
        space.forget()
        finished = space.stages("sync")
        runs.append((finished.last_json()["stages"][0]["seconds"], finished))
    runs.sort(key=lambda run: run[0])
    seconds, finished = runs[len(runs) // 2]
    return finished, seconds


def no_change() -> list[Figure]:
    """Measure a run over 10,000 files with nothing new, and over half as many."""
    figures = []
    for files in (5_000, 10_000):
        space = Workspace.named(f"files-{files}")
        space.write("tree", lines=files, files=files)
        space.catch_up()
        finished = space.stages("pipeline", "pipeline", "pipeline", "pipeline")
        first, *again = finished.last_json()["stages"]
        seconds = median(run["seconds"] for run in again)
        report = first["report"]
        detail = finished.facts() | {"first_run_seconds": first["seconds"], **report["sync"]}
        detail |= {"models_built": report["transform"]["models_built"]}
        detail |= {"snapshots_committed": report["extract"]["snapshots_committed"]}
        target = 150.0 if files == 10_000 else None  # noqa: PLR2004
        name = f"{files:,} files"
        figures.append(
            Figure("no change", name, round(seconds * 1000, 1), "ms", target, detail=detail)
        )
    read = float(report["sync"]["bytes_read"])
    figures.append(Figure("no change", "content bytes read", read, "bytes", 0))
    return figures


def append_one() -> list[Figure]:
    """Measure what is read of a 1 GB file after one line was appended to it."""
    space = Workspace.named("one-file")
    space.write("one_file", size=1_000)
    if not space.state.exists():
        space.stages("sync")
    space.change("grow", lines=1, files=1, seed=1)
    finished = space.stages("sync")
    stage = finished.last_json()["stages"][0]
    detail = finished.facts() | stage["report"] | {"seconds": stage["seconds"]}
    read = stage["report"]["bytes_read"]
    return [Figure("append", "1 line to 1 GB", read, "bytes", 64_000, detail=detail)]


def growth() -> list[Figure]:
    """Measure 1,000 lines more on a base of a million lines against the same on ten thousand."""
    times = {}
    figures = []
    for lines in (10_000, 1_000_000):
        space = Workspace.named(f"base-{lines}")
        _prepare(space, lines)
        runs = [_add(space, seed) for seed in range(1, _RUNS + 1)]
        times[lines] = median(seconds for seconds, _, _ in runs)
        commands = median(command.seconds for _, command, _ in runs)
        detail = runs[-1][1].facts() | {"stages": runs[-1][2], "work_seconds": times[lines]}
        target = 3.0 if lines == 1_000_000 else None  # noqa: PLR2004
        name = f"command on {lines:,}"
        figures.append(Figure("growth", name, round(commands, 3), "s", target, detail=detail))
    ratio = round(times[1_000_000] / times[10_000], 3)
    figures.append(Figure("growth", "+1,000 on 1 M / on 10 k", ratio, "x", 1.2))
    return figures


def _prepare(space: Workspace, lines: int) -> None:
    """Make the base, unless it is there from a run before; then add once, to warm it up."""
    space.write("tree", lines=lines)
    space.catch_up()
    _grow(space, 0)
    space.catch_up()


def _grow(space: Workspace, seed: int) -> None:
    space.change("grow", lines=_ADDED, files=20, seed=seed)


def _add(space: Workspace, seed: int) -> tuple[float, Finished, Any]:
    """Add lines twice: run the stages in one process, then the command; return times and reports.

    The first time is that of all stages after imports.
    """
    _grow(space, seed)
    stages = space.stages(*STAGES).last_json()["stages"]
    _grow(space, seed + _RUNS)
    command = space.command("pipeline", "--json")
    return sum(stage["seconds"] for stage in stages), command, stages
