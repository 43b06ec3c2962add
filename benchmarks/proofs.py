"""The proof of completeness at a publish: 1,000 lines more on ten thousand and on a million."""

from __future__ import annotations

import json
import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workspaces import Workspace

_BEFORE_PUBLISH = ("sync", "extract", "load", "transform")
_TARGET_MS = 100.0
_RUNS = 5
_MILLION = 1_000_000


def completeness() -> list[Figure]:
    """Measure the check before a publish, and count the rows of bronze that it scans."""
    figures = []
    for lines in (10_000, _MILLION):
        space = Workspace.named(f"base-{lines}")
        space.write("tree", lines=lines)
        space.catch_up()
        space.change("grow", lines=1_000, files=20, seed=7)
        space.stages(*_BEFORE_PUBLISH)
        finished = space.python("-m", "benchmarks.proofs")
        found = finished.last_json()
        target = _TARGET_MS if lines == _MILLION else None
        name = f"+1,000 on {lines:,}"
        figures.append(Figure("completeness", name, found["ms"], "ms", target, detail=found))
        rows = float(found["rows_scanned"])
        figures.append(Figure("completeness", f"rows scanned, {name}", rows, "rows"))
    return figures


def main() -> None:
    """Check the warehouse of this environment as a publish does; print the median as JSON."""
    from annals.settings import load_settings
    from loaders import completeness as proofs
    from loaders import warehouse

    seconds = []
    with warehouse.connect(load_settings()) as connection:
        for _ in range(_RUNS):
            started = time.perf_counter()
            proof = proofs.check(connection)
            seconds.append(time.perf_counter() - started)
    ms = round(median(seconds) * 1000, 1)
    members = {"ms": ms, "rows_scanned": proof.rows_scanned, "gaps": len(proof.gaps)}
    print(json.dumps(members | {"is_full": proof.is_full}))


if __name__ == "__main__":
    main()
