"""Fixtures for every test: a home of its own, and one built state to read from."""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annals import secrecy
from annals.settings import Settings
from annals.settings.files import VARIABLE
from tests.servers.warm import Warm, may_fork

pytest_plugins = ["tests.servers.fixtures"]

ROOT = Path(__file__).resolve().parents[1]
REAL_TRANSCRIPTS = ROOT.parent / "shared" / "transcripts"
PACKAGES = (
    *("analytics", "operations", "flows", "reports", "sync_agent", "extractors", "loaders"),
    "annals",
)
"""Every package of the product, top first."""

SLOW_FIRST = (
    "platform",
    "soak",
    "sweep",
    "end_to_end",
    "resilience",
    "integration",
    "flows",
    "operations",
    "accuracy",
    "cli",
)
"""Folders whose files take longest: begun first, they do not keep one process busy at the end."""

SHARE_A_SERVER = ("tests/platform",)
"""Folders of which one process runs all files."""

# Who starts the tests in the background hands on that these are ignored; programs heed that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where ``make test ARGS=...`` started the suite, a make that a test starts would take them over.
for _name in (
    *("ARGS", "SERVICE", "WORKERS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"),
    *("MAKEFILES", "GNUMAKEFLAGS", "PYTEST_ADDOPTS"),
):
    os.environ.pop(_name, None)

_OUTSIDE = dict(os.environ)
"""The environment that the suite was started in."""

LEFT_OUT = ("XDG_CACHE_HOME", "COVERAGE_PROCESS_START", "CLAUDE_CONFIG_DIR")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first, and leave all else in its order."""
    rank = {name: place for place, name in enumerate(SLOW_FIRST)}
    folder = len(ROOT.parts) + 1
    items.sort(key=lambda item: rank.get(item.path.parts[folder], len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, and folders that share a server: each process would start its own."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return next((one for one in SHARE_A_SERVER if file.startswith(f"{one}/")), file)

    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave out what was imported: it lives as long as the process."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has run: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Run = Callable[..., Finished]
WriteSettings = Callable[[str], Path]


def clean_environment(home: Path, **changes: str) -> dict[str, str]:
    """Return the environment with a home of its own and without any setting of Annals."""
    names = {name.upper() for name in Settings.model_fields} | set(LEFT_OUT)
    kept = {name: value for name, value in os.environ.items() if name.upper() not in names}
    kept.setdefault(VARIABLE, os.devnull)  # the settings of anyone who runs the tests are not ours
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "TIMEZONE": "UTC", **changes}


@functools.cache
def _warm() -> Warm:
    """Return what forks commands for this process of the test suite."""
    return Warm(_OUTSIDE)


def pytest_sessionfinish() -> None:
    """End what forks commands."""
    if _warm.cache_info().currsize:
        _warm().close()


def start(
    *arguments: str, home: Path, cwd: Path, is_forked: bool = True, **changes: str
) -> Finished:
    """Run a command of Annals in a process of its own, forked if that tells the same."""
    environment = clean_environment(home, **changes)
    if is_forked and may_fork(environment, _OUTSIDE):
        return Finished(*_warm().run(*arguments, env=environment, cwd=cwd, timeout=240))
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home folder of this test, which is its working folder too."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a home of its own, and no settings from outside."""
    os.umask(0o022)  # a command in this process sets it, and leaves it so
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name == "CLAUDE_CONFIG_DIR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(secrecy, "_secrets", set())
    monkeypatch.setenv(VARIABLE, os.devnull)
    monkeypatch.chdir(home)


@pytest.fixture
def settings_text(home: Path, monkeypatch: pytest.MonkeyPatch) -> WriteSettings:
    """Return a function that writes the settings file, which every command reads from then on."""

    def write(text: str) -> Path:
        path = home / "annals.env"
        path.write_text(text)
        monkeypatch.setenv(VARIABLE, str(path))
        return path

    return write


@pytest.fixture
def annals(home: Path) -> Run:
    """Return a function that runs a command in a process of its own, in this test's home."""

    def run(*arguments: str, **changes: str) -> Finished:
        return start(*arguments, home=home, cwd=home, **changes)

    return run


@pytest.fixture
def in_process(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process: quicker, for light commands."""
    from analytics.cli.app import run as run_command

    def run(*arguments: str) -> Finished:
        capsys.readouterr()
        code = run_command(arguments)
        written = capsys.readouterr()
        return Finished(code, written.out, written.err)

    return run


@dataclass(frozen=True, slots=True)
class Built:
    """A home in which the pipeline has run on the sample; tests only read it."""

    home: Path
    pipeline: Finished

    def read(self, *arguments: str, **changes: str) -> Finished:
        """Run a command that only reads."""
        return start(*arguments, home=self.home, cwd=self.home, **changes)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Run the pipeline once on the bundled sample."""
    home = tmp_path_factory.mktemp("built")
    done = start("pipeline", "--json", home=home, cwd=home)
    assert done.code == 0, done.err
    return Built(home, done)


@pytest.fixture(scope="session")
def real_transcripts() -> Path:
    """Return the folder of real transcripts, or skip where this machine has none."""
    if not REAL_TRANSCRIPTS.is_dir():
        pytest.skip("no real transcripts beside the checkout (../shared/transcripts)")
    return REAL_TRANSCRIPTS
