"""Where transcripts are looked for: what CLAUDE_CONFIG_DIR names, and what a folder means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annals.settings.roots import CONFIG_DIR, default_roots, known_places, resolve_root
from tests.conftest import Run


def _accounts(home: Path, *names: str) -> list[Path]:
    folders = [home / name for name in names]
    for folder in folders:
        (folder / "projects").mkdir(parents=True)
    return folders


@pytest.mark.parametrize("separator", [",", ", ", os.pathsep])
def test_several_folders_are_taken_apart(separator: str, home: Path) -> None:
    """As the tools beside Claude Code read it; each folder's ``projects`` is a root."""
    folders = _accounts(home, "work", "own")
    found = default_roots({CONFIG_DIR: separator.join(map(str, folders))})
    assert str(found).split(os.pathsep) == [str(folder / "projects") for folder in folders]


def test_a_folder_with_a_comma_in_its_name_is_one(home: Path) -> None:
    """What exists under the whole name is meant."""
    (folder,) = _accounts(home, "work, and own")
    assert default_roots({CONFIG_DIR: str(folder)}) == folder / "projects"


def test_two_names_of_one_folder_are_read_once(home: Path) -> None:
    """A second folder that is a link to the first adds nothing."""
    (folder,) = _accounts(home, "work")
    (home / "again").symlink_to(folder)
    found = default_roots({CONFIG_DIR: f"{folder},{home / 'again'}"})
    assert found == folder / "projects"


@pytest.mark.parametrize("mark", ["todos", "statsig", "CLAUDE.md", "settings.local.json"])
def test_an_own_folder_under_any_name_means_its_projects(mark: str, home: Path) -> None:
    """Whatever of its files is there, the folder of Claude Code means the ``projects`` in it."""
    (folder,) = _accounts(home, "second-account")
    assert resolve_root(folder) == folder
    (folder / mark).mkdir()
    assert resolve_root(folder) == (folder / "projects").resolve()


def test_a_known_folder_needs_no_mark(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~/.config/claude`` and the folder of CLAUDE_CONFIG_DIR mean their ``projects``."""
    known, configured = _accounts(home, ".config/claude", "account")
    monkeypatch.setenv(CONFIG_DIR, str(configured))
    assert known / "projects" in known_places(os.environ)
    for folder in (known, configured):
        assert resolve_root(folder) == (folder / "projects").resolve()


def test_the_hint_names_the_variable_that_is_wrong(
    in_process: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that CLAUDE_CONFIG_DIR names is not blamed on CLAUDE_DIR."""
    (elsewhere,) = _accounts(home, ".claude")
    (elsewhere / "projects" / "session.jsonl").touch()  # so the sample is not meant
    monkeypatch.setenv(CONFIG_DIR, str(home / "gone"))
    assert "hint: Correct CLAUDE_CONFIG_DIR" in in_process("sync", "once").err
    (home / "gone").touch()
    assert in_process("sync", "once").code == 3
    monkeypatch.setenv("CLAUDE_DIR", str(home / "other"))
    assert "hint: Set CLAUDE_DIR" in in_process("sync", "once").err
