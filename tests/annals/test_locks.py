"""Locks name their holder and die with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from annals.errors import LockedError
from annals.locks import exclusive, held_by

HOLD = """
import sys, time
from pathlib import Path
from annals.locks import exclusive
with exclusive(Path(sys.argv[1]), role="pipeline", what="the lake"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    """A live holder gives exit 7 and its pid; a killed one leaves nothing behind."""
    lock = tmp_path / "pipeline.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with (
            pytest.raises(LockedError, match=f"pid {child.pid} ") as caught,
            exclusive(lock, role="load", what="the lake"),
        ):
            pass
        assert caught.value.exit_code == 7
        holder = held_by(lock)
        assert holder is not None
        assert (holder.pid, holder.role) == (child.pid, "pipeline")
        os.kill(child.pid, signal.SIGKILL)
    assert held_by(lock) is None
    with exclusive(lock, role="load", what="the lake"):
        assert lock.read_text().startswith("{")


def test_nobody_holds_a_lock_that_does_not_exist(tmp_path: Path) -> None:
    """Asking about a lock creates nothing."""
    assert held_by(tmp_path / "none.lock") is None
    assert list(tmp_path.iterdir()) == []
