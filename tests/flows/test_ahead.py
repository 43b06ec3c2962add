"""The second process of a pipeline: the same results, the same errors, and no orphan."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics import errors
from analytics.locks import exclusive, held_by
from analytics.settings import Settings, load_settings
from examples.generator import write_sample
from flows import stages
from loaders.gold import gold_hashes
from loaders.warehouse import connect
from tests.conftest import Run, clean_environment

LEAVES_A_CHILD = """
import os, subprocess, sys
from pathlib import Path
from analytics.locks import exclusive
with exclusive(Path(sys.argv[1]), role="pipeline", what="the lake") as lock:
    child = [sys.executable, "-c", "import sys, time; print(1, flush=True); time.sleep(1)"]
    started = subprocess.Popen(child, pass_fds=[lock], stdout=subprocess.PIPE)
    started.stdout.readline()
    os._exit(0)
"""


def _hashes(settings: Settings) -> dict[str, str]:
    with connect(settings) as connection:
        return dict(gold_hashes(connection))


def _settings(home: Path, name: str) -> Settings:
    state = home / name
    return load_settings(
        claude_dir=str(home / "transcripts"),
        sqlite_path=str(state / "buffer.db"),
        annals_home=str(state),
        timezone="UTC",
    )


def _environment(settings: Settings, home: Path) -> dict[str, str]:
    return clean_environment(
        home,
        CLAUDE_DIR=str(settings.claude_dir),
        SQLITE_PATH=str(settings.sqlite_path),
        ANNALS_HOME=str(settings.annals_home),
    )


def _start(settings: Settings, home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "pipeline", "--json"],
        env=_environment(settings, home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _child_of(parent: subprocess.Popen[bytes]) -> int:
    """Return the pid of the second process, once it runs the module."""
    while parent.poll() is None:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if b"flows.ahead" in words and int(status[1]) == parent.pid:
                return int(entry.name)
        time.sleep(0.01)
    raise AssertionError(parent.communicate())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_in_two_processes_or_in_one_gold_is_the_same(home: Path) -> None:
    """What the second process builds and publishes is what one process alone would."""
    write_sample(home / "transcripts")
    alone, in_two = _settings(home, "alone"), _settings(home, "in-two")
    one = stages.pipeline(alone)
    two = stages.pipeline(in_two, in_two=True)
    assert one.counters() == two.counters()
    assert two.publish.published
    assert _hashes(alone) == _hashes(in_two)
    assert stages.pipeline(in_two, in_two=True).nothing_new


def test_an_error_of_the_second_process_is_raised_in_the_first(annals: Run, home: Path) -> None:
    """Message, hint and exit code of what goes wrong in transform are as in one process."""
    write_sample(home / "transcripts")
    prices = home / "prices.csv"
    prices.write_text("no,price,list\n1,2,3\n")
    arguments = {"CLAUDE_DIR": str(home / "transcripts"), "PRICES_CSV": str(prices)}
    failed = annals("pipeline", **arguments)
    alone = annals("transform", **arguments)
    assert failed.code == alone.code != 0
    assert failed.err.splitlines()[-2:] == alone.err.splitlines()[-2:]
    assert str(prices) in failed.err
    prices.unlink()
    done = annals("pipeline", CLAUDE_DIR=arguments["CLAUDE_DIR"])
    assert done.code == 0, done.err


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_second_process_ends_with_the_first(home: Path, signal_number: int) -> None:
    """However the first ends, the second follows, and the next run goes on from there."""
    write_sample(home / "transcripts")
    settings = _settings(home, "state")
    with _start(settings, home) as parent:
        child = _child_of(parent)
        parent.send_signal(signal_number)
        parent.communicate()
    assert parent.returncode not in (0, None)
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "pipeline"],
        env=_environment(settings, home),
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not _is_running(child)
    alone = _settings(home, "alone")
    stages.pipeline(alone)
    assert _hashes(alone) == _hashes(settings)


def test_the_death_of_the_second_process_is_told_and_repaired(annals: Run, home: Path) -> None:
    """Killed alone, it is named with the remedy (exit 4), and the next run finishes."""
    write_sample(home / "transcripts")
    settings = _settings(home, "state")
    with _start(settings, home) as parent:
        os.kill(_child_of(parent), signal.SIGKILL)
        _, told = parent.communicate()
    assert parent.returncode == 4, told
    assert b"the process that runs dbt died (exit status -9)" in told
    done = annals(
        "pipeline",
        CLAUDE_DIR=str(settings.claude_dir),
        SQLITE_PATH=str(settings.sqlite_path),
        ANNALS_HOME=str(settings.annals_home),
    )
    assert done.code == 0, done.err
    alone = _settings(home, "alone")
    stages.pipeline(alone)
    assert _hashes(alone) == _hashes(settings)


def test_a_dead_holder_whose_child_lives_on_is_waited_for(tmp_path: Path) -> None:
    """The lock passes on when the child of a dead process has followed it."""
    lock = tmp_path / "pipeline.lock"
    subprocess.run([sys.executable, "-c", LEAVES_A_CHILD, lock], check=True)
    assert held_by(lock) is not None
    with exclusive(lock, role="load", what="the lake"):
        pass


def test_every_error_survives_the_way_between_processes() -> None:
    """Class, message, hint and context come out as they went in."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AnalyticsError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        error = kind("what", hint="how", path=Path("/x"), pid=1)
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        assert type(again) is kind
        assert again.as_dict() == error.as_dict()
