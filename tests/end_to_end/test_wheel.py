"""The wheel: what is installed works without a checkout beside it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT, Built, Finished, clean_environment
from tests.servers.running import free_port

LEFT_OUT = {"dbt", "deploy", "examples", "benchmarks", "tests"}
"""Folders that an environment would share with other packages, or nobody needs there."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel and the locked packages, and no checkout on its path."""

    wheel: Path
    python: Path
    home: Path

    def annals(self, *words: str, **settings: str) -> Finished:
        """Run the console script in an empty folder."""
        environment = clean_environment(self.home, **settings)
        del environment["PYTHONPATH"]
        done = subprocess.run(
            [self.python.with_name("annals"), *words],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel and install it into an environment of its own."""
    place = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("annals-*.whl")
    venv.create(place / "environment", with_pip=True)
    python = place / "environment" / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
    # The locked packages by path: a .pth below it, such as the checkout's, is not read from there.
    locked = sysconfig.get_path("purelib")
    (Path(answer.stdout.strip()) / "locked.pth").write_text(locked + "\n")
    home = place / "home"
    home.mkdir()
    return Installed(wheel, python, home)


@pytest.mark.slow
def test_a_wheel_holds_no_folder_that_others_use(installed: Installed) -> None:
    """The wheel has our packages alone; dbt project, sample and units are inside of them."""
    with ZipFile(installed.wheel) as archive:
        names = archive.namelist()
    folders = {name.split("/")[0] for name in names if not name.startswith("annals-")}
    assert folders.isdisjoint(LEFT_OUT)
    shipped = {name.split("/")[2] for name in names if name.startswith("annals/shipped/")}
    assert shipped == {"dbt", "examples", "deploy", "prefect.yaml"}


@pytest.mark.slow
def test_a_wheel_runs_the_whole_pipeline(installed: Installed, built: Built) -> None:
    """``annals pipeline`` shows the sample's usage, with dbt-core's own ``dbt`` beside it."""
    done = installed.annals("pipeline", "--json")
    assert done.code == 0, done.err
    shown = installed.annals("usage", "daily", "--json")
    assert shown.code == 0, shown.err
    assert shown.data["totals"] == built.read("usage", "daily", "--json").data["totals"]
    where = installed.annals("config", "show", "--json")
    assert str(ROOT) not in where.out


@pytest.mark.slow
def test_a_wheel_names_the_files_of_its_own_environment(installed: Installed) -> None:
    """``sync install --dry-run`` finds the unit inside the wheel."""
    (installed.home / "transcripts").mkdir(exist_ok=True)
    settings = {"CLAUDE_DIR": str(installed.home / "transcripts")}
    done = installed.annals("sync", "install", "systemd", "--dry-run", **settings)
    assert done.code == 0, done.err
    assert "annals-sync.service" in done.out
    doctor = installed.annals("doctor", "--json", **settings)
    assert doctor.code in (0, 1), doctor.err
    assert {one["check"] for one in doctor.data["findings"]} >= {"versions", "settings", "buffer"}


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_wheel_starts_the_platform(installed: Installed) -> None:
    """``annals up --detach`` is healthy and ``annals down`` ends it, without a checkout."""
    (installed.home / "projects" / "-a").mkdir(parents=True, exist_ok=True)
    settings = {
        "CLAUDE_DIR": str(installed.home / "projects"),
        "ANNALS_HOME": str(installed.home / "platform"),
        "SQLITE_PATH": str(installed.home / "platform" / "buffer.db"),
        "HEALTH_PORT": str(free_port()),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "DBT_DOCS_URL": f"http://127.0.0.1:{free_port()}",
    }
    done = installed.annals("up", "--detach", "--json", **settings)
    try:
        assert done.code == 0, done.err
        assert done.data["healthy"] is True
    finally:
        ended = installed.annals("down", **settings)
    assert ended.code == 0, ended.err
