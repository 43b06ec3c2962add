"""Whole processes, measured from outside: wall time and peak memory, as the system reports them.

The measuring process stays small, because a child's peak begins at that of the process it was
started from: whatever generates data or does work is a child too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A child that has ended well. ``seconds`` are wall time, ``peak_bytes`` its resident peak."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str

    def last_json(self) -> dict[str, Any]:
        """Return the JSON object on the last line of the output."""
        value: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return value

    def facts(self) -> dict[str, float]:
        """Return what is worth noting beside a figure."""
        return {
            "process_seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_mib": round(self.peak_bytes / 2**20, 1),
            "load_average": round(os.getloadavg()[0], 2),
        }


def run(command: Sequence[str | Path], *, environment: dict[str, str], folder: Path) -> Finished:
    """Run ``command`` in ``folder`` to its end and return what it took.

    Raises RuntimeError with the end of its messages where it fails.
    """
    with (folder / "stderr.txt").open("w+") as errors, (folder / "stdout.txt").open("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(
                f"{command} ended with {process.returncode}: {errors.read()[-3000:]}"
            )
        output.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        return Finished(seconds, cpu, usage.ru_maxrss * 1024, output.read())


def python(
    *arguments: str | Path, environment: dict[str, str], folder: Path, interpreter: str = ""
) -> Finished:
    """Run Python with ``arguments``, the repository importable."""
    command = [interpreter or sys.executable, *arguments]
    return run(command, environment=environment | {"PYTHONPATH": str(ROOT)}, folder=folder)


def median_seconds(finished: Sequence[Finished]) -> float:
    """Return the median of their wall times."""
    return median(each.seconds for each in finished)
