"""Start-up: how long a person waits for an answer from a published build, or for help."""

from __future__ import annotations

from benchmarks.cold import published
from benchmarks.figures import Figure
from benchmarks.processes import median_seconds

_RUNS = 9


def startup() -> list[Figure]:
    """Measure ``usage daily`` and ``--help`` as whole processes, beside an empty Python."""
    space = published()
    figures = []
    for name, arguments, target in (
        ("an empty Python", ("-c", "pass"), None),
        ("usage daily", ("-m", "analytics.cli", "usage", "daily"), 350.0),
        ("--help", ("-m", "analytics.cli", "--help"), 150.0),
    ):
        space.python(*arguments)
        runs = [space.python(*arguments) for _ in range(_RUNS)]
        milliseconds = round(median_seconds(runs) * 1000, 1)
        slowest = max(run.seconds for run in runs) * 1000
        detail = runs[-1].facts() | {"slowest_ms": round(slowest, 1), "runs": _RUNS}
        figures.append(Figure("startup", name, milliseconds, "ms", target, detail=detail))
    return figures
