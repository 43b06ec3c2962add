"""No variable of other work changes what a command imports, or how it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

SCRIPT = Path(sys.executable).with_name("annals")


def _other_work(folder: Path) -> Path:
    """Return a folder with packages that are called as ours are, and a start-up file."""
    for name in ("analytics", "flows", "loaders", "operations", "sync_agent"):
        package = folder / name
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('a package of other work')\n")
    (folder / "startup.py").write_text("raise SystemExit('a file of other work')\n")
    return folder


@pytest.mark.parametrize(
    "command",
    [(str(SCRIPT),), (sys.executable, "-I", "-m", "analytics.cli")],
    ids=["script", "make"],
)
@pytest.mark.parametrize("arguments", [("--version",), ("config", "show"), ("usage", "--bad")])
def test_variables_of_other_work_change_nothing(
    command: tuple[str, ...], arguments: tuple[str, ...], home: Path, tmp_path: Path
) -> None:
    """Output and exit code are those of a clean environment, also from a folder of other work."""
    other = _other_work(tmp_path)
    clean = clean_environment(home)
    foreign = {
        "PYTHONPATH": str(other),
        "PYTHONINSPECT": "1",
        "PYTHONSTARTUP": str(other / "startup.py"),
    }
    first, second = (
        subprocess.run(
            [*command, *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        for environment, folder in ((clean, home), (clean | foreign, other))
    )
    assert (second.returncode, second.stdout) == (first.returncode, first.stdout), second.stderr
    assert "Traceback" not in second.stderr


def test_the_module_by_name_runs_ours_unless_another_has_that_name(
    home: Path, tmp_path: Path
) -> None:
    """Python imports the first ``analytics`` before any line of ours; other names are ours."""
    other = _other_work(tmp_path)
    command = [sys.executable, "-P", "-m", "analytics.cli", "config", "show"]
    environment = clean_environment(home) | {"PYTHONPATH": f"{other}{os.pathsep}{ROOT}"}
    seen = []
    for is_named in (True, False):
        if not is_named:
            shutil.rmtree(other / "analytics")
        done = subprocess.run(
            command, env=environment, cwd=other, capture_output=True, text=True, check=False
        )
        seen.append((done.returncode, "a package of other work" in done.stderr))
    assert seen == [(1, True), (0, False)]


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_settings_file_of_an_unknown_user_is_named(way: str, home: Path) -> None:
    """``~nosuch`` is a mistake in a path (exit 3) and no defect."""
    environment, name = clean_environment(home), "~no-such-user/annals.env"
    option = ["--env-file", name] if way == "option" else []
    if way == "variable":
        environment["ANNALS_ENV_FILE"] = name
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", *option, "config", "show"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "no-such-user" in done.stderr
    assert "defect" not in done.stderr


def test_the_make_file_starts_our_programs_isolated() -> None:
    """Each program of ours is started by ``$(OWN)``, which takes no variable of Python's."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "OWN := $(RUN) -I" in text
    ours = ("analytics.cli ", "operations.", "flows.")
    for line in text.splitlines():
        if "$(RUN) -m " in line:
            assert not line.partition("$(RUN) -m ")[2].startswith(ours), line
