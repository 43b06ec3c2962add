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
ATTEMPTS = 9
SHARE = 1.6
"""What a command may take beside its libraries' imports alone, where the machine is too busy."""


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile the project's own code, as `make install` does."""
    packages = ("analytics", "loaders", "flows")
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], cwd=ROOT, check=True)


def _seconds(arguments: list[str], home: Path) -> float:
    """Return the seconds that a Python process took, by the clock or by the processor.

    The lesser of the two: the clock also counts what other processes of a busy machine took.
    """
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
    return min(clock, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def _is_quick(command: list[str], libraries: str, home: Path, *, seconds: float) -> bool:
    """Tell whether a command takes at most ``seconds``, at its best of some attempts.

    Where other processes slow the machine down, importing the libraries alone takes its time too;
    both are measured in turns, and the command may take ``SHARE`` times as long as they do.
    """
    taken = alone = float("inf")
    for _ in range(ATTEMPTS):
        taken = min(taken, _seconds(["-m", "analytics.cli", *command], home))
        alone = min(alone, _seconds(["-c", f"import {libraries}"], home))
    return taken <= max(seconds, SHARE * alone)


def test_help_starts_at_once(home: Path) -> None:
    """``--help`` takes at most 150 ms."""
    assert _is_quick(["--help"], "typer", home, seconds=HELP_SECONDS)


def test_a_report_is_there_at_once(built: Built) -> None:
    """``usage daily`` on the published build takes at most 350 ms, start included."""
    libraries = "typer, pydantic_settings, duckdb"
    assert _is_quick(["usage", "daily"], libraries, built.home, seconds=USAGE_SECONDS)
