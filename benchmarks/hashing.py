"""What verifying at the crossings costs: processor time in it, of a cold and of a small run."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.figures import Figure
from benchmarks.workspaces import STAGES, Workspace

_LINES = 30_000
_COLD_PERCENT = 5.0
_SMALL_MS = 50.0
_CROSSINGS = (
    ("annals.records.verification", "Verification", "records"),
    ("extractors.lake.table", "", "content_hash"),
    ("loaders.data_files", "", "verify_new"),
    ("loaders.data_files", "", "verify_changed"),
    ("loaders.data_files", "", "verify_all"),
    ("loaders.data_files", "", "sweep"),
)
"""What verifies: module, class and function. Reading computes ids anyway, so that is none."""


def hashing() -> list[Figure]:
    """Measure all crossings of a cold run and of 1,000 lines more, in processor time."""
    space = Workspace.named("hashing")
    space.write("tree", lines=_LINES)
    space.forget()
    cold = space.python("-m", "benchmarks.hashing", *STAGES).last_json()
    space.change("grow", lines=1_000, files=20, seed=7)
    small = space.python("-m", "benchmarks.hashing", *STAGES).last_json()
    share = 100 * cold["verify_seconds"] / cold["cpu_seconds"]
    return [
        Figure("hashing", "of a cold run", share, "%", _COLD_PERCENT, detail=cold),
        Figure("hashing", "+1,000", 1000 * small["verify_seconds"], "ms", _SMALL_MS, detail=small),
    ]


class _Watch:
    """Processor time inside of the functions that it was put around; nested calls count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed."""

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._depth += 1
            started = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.process_time() - started

        return timed


def main() -> None:
    """Run the stages that are named; print the processor time of all and of verifying as JSON."""
    from annals.settings import load_settings
    from benchmarks import stages

    watch = _Watch()
    for module, kind, name in _CROSSINGS:
        place: Any = import_module(module)
        place = getattr(place, kind) if kind else place
        setattr(place, name, watch.around(getattr(place, name)))
    functions = [stages.stage_function(name) for name in sys.argv[1:]]
    settings = load_settings()
    started = time.process_time()
    for function in functions:
        function(settings)
    told = {"cpu_seconds": time.process_time() - started, "verify_seconds": watch.seconds}
    print(json.dumps({name: round(value, 4) for name, value in told.items()}))


if __name__ == "__main__":
    main()
