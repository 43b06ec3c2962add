"""Whole processes, measured from outside: wall time and peak memory, as the system reports them.

The measuring process stays small, because a child's peak begins at that of the process it was
started from: whatever generates data or does work is a child too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

_PAGE = os.sysconf("SC_PAGE_SIZE")
_OUTPUT_KEPT = 16 * 2**20

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A child that has ended well. ``seconds`` are wall time, ``output`` is its end.

    ``peak_bytes`` is the resident peak of the child with all its own children together; pages that
    these share are counted for each.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str
    output_bytes: int

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
    with (
        (folder / "stderr.txt").open("w+") as errors,
        (folder / "stdout.txt").open("w+b") as output,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        family = _Family(process.pid)
        family.start()
        _, status, usage = os.wait4(process.pid, 0)
        peak = max(family.peak(), usage.ru_maxrss * 1024)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(
                f"{command} ended with {process.returncode}: {errors.read()[-3000:]}"
            )
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _OUTPUT_KEPT))
        cpu = usage.ru_utime + usage.ru_stime
        return Finished(seconds, cpu, peak, output.read().decode(errors="replace"), size)


class _Family(threading.Thread):
    """Watches what all processes of a session hold in memory together, 20 times a second."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self._session = session
        self._ended = threading.Event()
        self._peak = 0

    def run(self) -> None:
        """Look until :meth:`peak` is asked for."""
        while not self._ended.wait(0.05):
            self._peak = max(self._peak, self._held())

    def peak(self) -> int:
        """Return the most that was seen, in bytes; 0 for a process that was too short for it."""
        self._ended.set()
        self.join()
        return self._peak

    def _held(self) -> int:
        """Return the bytes that the processes of the session hold together.

        A child that has not yet executed its program runs in its parent's memory (``vfork``), and
        would count that a second time: it holds exactly as many pages.
        """
        rows = [row for place in Path("/proc").glob("[0-9]*") if (row := self._row(place))]
        pages = {process: held for process, _, held in rows}
        return _PAGE * sum(held for _, parent, held in rows if pages.get(parent) != held)

    def _row(self, place: Path) -> tuple[int, int, int] | None:
        """Return id, parent and resident pages of a process of the session, None of others."""
        try:
            words = (place / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended meanwhile
            return None
        is_ours = int(words[3]) == self._session
        return (int(place.name), int(words[1]), int(words[21])) if is_ours else None


def python(
    *arguments: str | Path, environment: dict[str, str], folder: Path, interpreter: str = ""
) -> Finished:
    """Run Python with ``arguments``, the repository importable."""
    command = [interpreter or sys.executable, *arguments]
    return run(command, environment=environment | {"PYTHONPATH": str(ROOT)}, folder=folder)


def median_seconds(finished: Sequence[Finished]) -> float:
    """Return the median of their wall times."""
    return median(each.seconds for each in finished)
