"""How quickly the light commands start."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, Built, clean_environment

HELP_SECONDS = 0.150
USAGE_SECONDS = 0.350
ATTEMPTS = 15


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile the project's own code, as `make install` does."""
    packages = ("analytics", "loaders", "flows")
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], cwd=ROOT, check=True)


def _best(arguments: list[str], home: Path) -> float:
    """Return the least seconds that a Python process took, by the clock or by the processor.

    The better of the two: the clock also counts what other processes of a busy machine took.
    """
    best = float("inf")
    for _ in range(ATTEMPTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments],
            env=clean_environment(home),
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        clock = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        best = min(best, clock, processor)
    return best


def _limit(seconds: float, libraries: str, home: Path) -> float:
    """Return the seconds allowed: on a machine too busy for them, by how much libraries slow down.

    What the command adds to importing its libraries may be half as much again.
    """
    return max(seconds, 1.5 * _best(["-c", f"import {libraries}"], home))


def test_help_starts_at_once(home: Path) -> None:
    """``--help`` takes at most 150 ms."""
    taken = _best(["-m", "analytics.cli", "--help"], home)
    assert taken <= _limit(HELP_SECONDS, "typer", home)


def test_a_report_is_there_at_once(built: Built) -> None:
    """``usage daily`` on the published build takes at most 350 ms, start included."""
    taken = _best(["-m", "analytics.cli", "usage", "daily"], built.home)
    assert taken <= _limit(USAGE_SECONDS, "typer, pydantic_settings, duckdb", built.home)
