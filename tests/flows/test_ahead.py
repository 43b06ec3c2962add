"""The process that works ahead of a pipeline: the same results, the same errors, and no orphan."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest

from annals import errors
from annals.errors import DependencyError
from annals.locks import exclusive, held_by
from annals.settings import Settings, load_settings
from examples.generator import write_sample
from flows import ahead, stages
from loaders.gold import gold_hashes
from loaders.warehouse import connect
from tests.conftest import ROOT, Finished, Run, clean_environment, start

LEAVES_A_CHILD = """
import os, subprocess, sys
from pathlib import Path
from annals.locks import exclusive
with exclusive(Path(sys.argv[1]), role="pipeline", what="the lake") as lock:
    child = [sys.executable, "-c", "import sys, time; print(1, flush=True); time.sleep(1)"]
    started = subprocess.Popen(child, pass_fds=[lock], stdout=subprocess.PIPE)
    started.stdout.readline()
    os._exit(0)
"""


@pytest.fixture
def annals(home: Path) -> Run:
    """Return a function that runs a command in a new process, which needs help to get ready."""

    def run(*arguments: str, **changes: str) -> Finished:
        return start(*arguments, home=home, cwd=home, is_forked=False, **changes)

    return run


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
    """Return the pid of the process ahead, once it runs the module."""
    while parent.poll() is None:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            is_ours = b"flows.ahead" in b" ".join(words)
            if is_ours and int(status[1]) == parent.pid:
                return int(entry.name)
        time.sleep(0.01)
    raise AssertionError(parent.communicate())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the hashes of the gold that one process alone builds from the sample."""
    place = tmp_path_factory.mktemp("alone")
    write_sample(place / "transcripts")
    settings = _settings(place, "state")
    stages.pipeline(settings)
    return _hashes(settings)


def test_in_one_process_or_in_two_gold_is_the_same(home: Path, gold: dict[str, str]) -> None:
    """What the other process builds and publishes is what one process alone would."""
    write_sample(home / "transcripts")
    settings = _settings(home, "state")
    report = stages.pipeline(settings, work_ahead=True)
    assert report.counters()["models_built"] > 0
    assert report.publish.published
    assert _hashes(settings) == gold
    assert stages.pipeline(settings, work_ahead=True).nothing_new


def test_an_error_of_another_process_is_raised_in_the_first(annals: Run, home: Path) -> None:
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
def test_the_process_ends_with_the_first(
    home: Path, signal_number: int, gold: dict[str, str]
) -> None:
    """However the first ends, the other follows, and the next run goes on from there."""
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
    assert _hashes(settings) == gold


def test_the_death_of_a_process_is_told_and_repaired(
    annals: Run, home: Path, gold: dict[str, str]
) -> None:
    """Killed alone, it is named with the remedy (exit 4), and the next run finishes."""
    write_sample(home / "transcripts")
    settings = _settings(home, "state")
    with _start(settings, home) as parent:
        os.kill(_child_of(parent), signal.SIGKILL)
        _, told = parent.communicate()
    assert parent.returncode == 4, told
    assert "the process that runs dbt died (exit status -9)" in told.decode()
    done = annals(
        "pipeline",
        CLAUDE_DIR=str(settings.claude_dir),
        SQLITE_PATH=str(settings.sqlite_path),
        ANNALS_HOME=str(settings.annals_home),
    )
    assert done.code == 0, done.err
    assert _hashes(settings) == gold


def test_a_process_that_dies_at_its_start_is_told_as_well(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to a process that is gone is not a fault of the buffer that is being written."""

    class StillBorn(subprocess.Popen[bytes]):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__(["false"])
            self.wait()

    monkeypatch.setattr("flows.ahead.subprocess.Popen", StillBorn)
    write_sample(home / "transcripts")
    with pytest.raises(DependencyError, match="the process that runs dbt died"):
        stages.pipeline(_settings(home, "state"), work_ahead=True)


def test_no_code_of_the_working_folder_is_run(annals: Run, home: Path) -> None:
    """Packages of the same names, and of Python's own, that lie around are none of our business."""
    write_sample(home / "transcripts")
    (home / "flows").mkdir()
    for name in ("flows/__init__.py", "pickle.py", "dbt.py"):
        (home / name).write_text("raise SystemExit('code of the working folder')\n")
    script = Path(sys.executable).with_name("annals")
    done = subprocess.run(
        [script, "pipeline", "--json"],
        env=clean_environment(home, CLAUDE_DIR="transcripts") | {"PYTHONPATH": ""},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "working folder" in done.stderr) == (0, False)
    again = home / "transcripts"
    path = min(again.rglob("*.jsonl"))
    os.utime(path, ns=(10**18, 10**18))
    seen = annals("pipeline", "--json", CLAUDE_DIR="transcripts", PYTHONSAFEPATH="1")
    assert (seen.code, "working folder" in seen.err) == (0, False)
    assert seen.data["nothing_new"]


def test_an_interrupt_is_answered_by_one_process(home: Path) -> None:
    """Ctrl-C reaches the whole group; only the first process says something, and it is short."""
    write_sample(home / "transcripts")
    settings = _settings(home, "state")
    with subprocess.Popen(
        [sys.executable, "-m", "analytics.cli", "pipeline", "--json"],
        env=_environment(settings, home),
        cwd=home,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        _child_of(parent)
        os.killpg(parent.pid, signal.SIGINT)
        _, told = parent.communicate()
    assert parent.returncode == 130
    assert b"Traceback" not in told


def test_a_process_whose_first_one_ended_at_once_is_silent(home: Path) -> None:
    """A Ctrl-C between its start and its settings leaves a closed pipe, and no traceback."""
    ours, theirs = Pipe()
    ours.close()
    done = subprocess.run(
        [sys.executable, "-c", ahead.BEGIN, str(ROOT), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=home,
        capture_output=True,
        check=False,
    )
    theirs.close()
    assert (done.returncode, done.stderr) == (1, b"")


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
