"""Measure and print: ``python -m benchmarks [name ...]``; exit code 1 where a target is missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable

from benchmarks.cold import cold, peer, sizes
from benchmarks.commits import commits
from benchmarks.deployed import deployed
from benchmarks.figures import Figure, table
from benchmarks.hashing import hashing
from benchmarks.increments import append_one, backlog, growth, no_change
from benchmarks.lists import lists
from benchmarks.live import at_once, begin, live, rest, restart
from benchmarks.many_files import many_files
from benchmarks.processes import ROOT
from benchmarks.proofs import completeness
from benchmarks.shipping import outage, ship_backlog, ship_live
from benchmarks.startup import startup
from benchmarks.volumes import volumes
from benchmarks.workspaces import DATA

BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "backlog": backlog,
    "cold": cold,
    "sizes": sizes,
    "startup": startup,
    "no-change": no_change,
    "append": append_one,
    "growth": growth,
    "completeness": completeness,
    "hashing": hashing,
    "volumes": volumes,
    "commits": commits,
    "lists": lists,
    "many-files": many_files,
    "live": live,
    "at-once": at_once,
    "begin": begin,
    "restart": restart,
    "ship": ship_backlog,
    "ship-live": ship_live,
    "outage": outage,
    "rest": rest,
    "deployed": deployed,
    "peer": peer,
}
RESULTS = ROOT / "benchmarks" / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that are named, print their figures, and keep them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    DATA.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures += BENCHMARKS[name]()
        keep(figures)
    print(table(figures))
    return 0 if all(figure.reached is not False for figure in figures) else 1


def keep(figures: list[Figure]) -> None:
    """Write the figures so far to the newest file in ``benchmarks/results``."""
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
    }
    body = {"measured_at": time.time(), "machine": machine}
    body["figures"] = [figure.as_dict() for figure in figures]
    for path in (RESULTS / "latest.json", RESULTS / f"{_STARTED}.json"):
        path.write_text(json.dumps(body, indent=1, default=str) + "\n")


_STARTED = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())

if __name__ == "__main__":
    raise SystemExit(main())
