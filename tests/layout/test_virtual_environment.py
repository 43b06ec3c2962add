"""`make` installs again where the Python of `.venv` is gone or the checkout was renamed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def _environment(folder: Path) -> Path:
    """Make what the check looks at: a link to a Python, a stamp, a command with its folder."""
    made = folder / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python").symlink_to(sys.executable)
    (made / ".runtime").touch()
    (made / "bin" / "annals").write_text(f"#!{made}/bin/python\n")
    return made


def _check(folder: Path) -> str:
    command = [ROOT / ".ci" / "drop-broken-venv", ".venv"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stderr


def test_one_that_works_stays(tmp_path: Path) -> None:
    """Nothing is removed and nothing is said."""
    made = _environment(tmp_path)
    assert _check(tmp_path) == ""
    assert (made / ".runtime").exists()


@pytest.mark.parametrize("what", ["python", "folder"])
def test_a_broken_one_is_removed(tmp_path: Path, what: str) -> None:
    """A link that leads nowhere, and a folder of another name."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    made = _environment(folder)
    if what == "python":
        (made / "bin" / "python").unlink()
        (made / "bin" / "python").symlink_to("/gone/python3.11")
    else:
        folder = folder.rename(tmp_path / "renamed")
    assert "installing again" in _check(folder)
    assert not (folder / ".venv").exists()


def test_make_asks_before_it_believes_a_stamp() -> None:
    """The Makefile runs the check whatever the target is."""
    assert "$(shell .ci/drop-broken-venv $(VENV))" in (ROOT / "Makefile").read_text()
