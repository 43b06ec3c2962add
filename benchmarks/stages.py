"""Run stages of the pipeline in this process; print their times and reports as a line of JSON."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

_WHERE = {
    "sync": ("sync_agent.agent.once", "sync_once"),
    "extract": ("extractors.extract", "extract"),
    "load": ("loaders.load", "load"),
    "transform": ("loaders.transform", "transform"),
    "publish": ("loaders.publish", "publish"),
    "pipeline": ("flows.stages", "pipeline"),
}


def main() -> None:
    """Import everything that is named first, then run and time it in the order given."""
    started = time.perf_counter()
    from annals.settings import load_settings

    settings = load_settings()
    stages = [(name, stage_function(name)) for name in sys.argv[1:]]
    result: dict[str, Any] = {"import_seconds": round(time.perf_counter() - started, 4)}
    result["stages"] = [_timed(name, stage, settings) for name, stage in stages]
    sys.stdout.write(json.dumps(result) + "\n")


def stage_function(name: str) -> Callable[[Any], Any]:
    """Return the function of a stage, imported."""
    module, function = _WHERE[name]
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), function)
    return found


def _timed(name: str, stage: Callable[[Any], Any], settings: Any) -> dict[str, Any]:
    started = time.perf_counter()
    report = stage(settings)
    seconds = time.perf_counter() - started
    return {"stage": name, "seconds": round(seconds, 4), "report": asdict(report)}


if __name__ == "__main__":
    main()
