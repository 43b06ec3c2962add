"""A thousand commits: what an extraction and a load cost, and what the lake's metadata takes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure
from benchmarks.workspaces import Workspace

if TYPE_CHECKING:
    from annals.settings import Settings

COMMITS = 1_000
_EARLY = 30
_WINDOW = 20
"""Commits on either side of the one that is reported: their median is compared."""

_EXTRACT_RATIO = 1.3
_LOAD_RATIO = 1.5


def commits() -> list[Figure]:
    """Measure 1,000 runs of sync, extract and load, one line more before each."""
    space = Workspace.named("commits")
    space.write("tree", lines=200, files=2)
    space.forget()
    rows = space.python("-m", "benchmarks.commits", str(COMMITS)).last_json()["commits"]
    return [
        _ratio(rows, "extract_cpu_ms", "extract, CPU", _EXTRACT_RATIO),
        _ratio(rows, "load_cpu_ms", "load, CPU", _LOAD_RATIO),
        *(_most(rows, name) for name in ("metadata_files", "metadata_bytes", "snapshots")),
    ]


def _ratio(rows: list[dict[str, float]], measure: str, name: str, target: float) -> Figure:
    early, late = _around(rows, measure, _EARLY), _around(rows, measure, len(rows))
    detail = {"early_ms": early, "late_ms": late} | {
        f"ms_at_{number}": _around(rows, measure, number)
        for number in range(100, len(rows) + 1, 100)
    }
    label = f"{name}: commit {len(rows):,} / {_EARLY}"
    return Figure("commits", label, round(late / early, 3), "x", target, detail=detail)


def _around(rows: list[dict[str, float]], measure: str, number: int) -> float:
    window = rows[max(0, number - _WINDOW) : number + _WINDOW]
    return round(median(row[measure] for row in window), 1)


def _most(rows: list[dict[str, float]], measure: str) -> Figure:
    """Return the highest count of the second half of the commits, with that of the first."""
    half = len(rows) // 2
    first, second = (max(row[measure] for row in part) for part in (rows[:half], rows[half:]))
    detail = {"highest_in_first_half": first, "at_end": rows[-1][measure]}
    return Figure("commits", f"most {measure}", second, "", round(1.2 * first), detail=detail)


def main() -> None:
    """Commit as often as the first argument says, in this environment; print the costs as JSON."""
    from annals.settings import load_settings

    settings = load_settings()
    path = min(path for root in settings.claude_dirs for path in root.rglob("*.jsonl"))
    line = path.read_bytes().splitlines(keepends=True)[-1]
    rows = [_commit(settings, path, line) for _ in range(int(sys.argv[1]))]
    print(json.dumps({"commits": rows}))


def _commit(settings: Settings, path: Path, line: bytes) -> dict[str, float]:
    """Append a line and bring it to the warehouse; return what that cost, and what is there."""
    from extractors.extract import extract
    from loaders import entries, warehouse
    from loaders.load import load
    from sync_agent.agent.once import sync_once

    with path.open("ab") as file:
        file.write(line)
    sync_once(settings)
    row = {"extract_cpu_ms": _cpu_ms(extract, settings), "load_cpu_ms": _cpu_ms(load, settings)}
    with warehouse.connect(settings) as connection, warehouse.transaction(connection):
        entries.clear_pending(connection)  # as after a transform, which takes a second
    return row | _metadata(settings.lake_folder)


def _cpu_ms(stage: Callable[[Any], Any], settings: Settings) -> float:
    started = time.process_time()
    stage(settings)
    return round((time.process_time() - started) * 1000, 2)


def _metadata(lake: Path) -> dict[str, float]:
    """Count the files and bytes of the lake's metadata, and the snapshots of the newest version."""
    files = [path for path in lake.rglob("metadata/*") if path.is_file()]
    newest = max(path for path in files if path.name.endswith(".metadata.json"))
    snapshots = json.loads(newest.read_bytes()).get("snapshots", [])
    size = sum(path.stat().st_size for path in files)
    return {
        "metadata_files": len(files),
        "metadata_bytes": size,
        "snapshots": len(snapshots),
        "catalog_bytes": sum(path.stat().st_size for path in lake.glob("*.db*")),
        "data_files": sum(1 for _ in lake.rglob("data/**/*.parquet")),
    }


if __name__ == "__main__":
    main()
