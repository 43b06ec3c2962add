"""Paths in settings that a store below would take for another place are refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.settings import load_settings
from tests.conftest import Run


@pytest.mark.parametrize("name", ["annals_home", "sqlite_path", "duckdb_path", "publish_path"])
@pytest.mark.parametrize("text", ["/tmp/a\nb", "/tmp/a\tb", "/tmp/a\x1bb", "/tmp/a\x7fb"])  # noqa: S108
def test_control_characters_are_refused(name: str, text: str) -> None:
    """A path with a newline does not end as a damaged lake, but as a wrong setting."""
    with pytest.raises(SettingsError, match="control characters") as caught:
        load_settings(**{name: text})
    assert name.upper() in caught.value.message


@pytest.mark.parametrize("name", ["claude_dir", "annals_home", "sqlite_path", "prices_csv"])
def test_the_home_of_an_unknown_user_is_refused(name: str) -> None:
    """``~name`` of a user who does not exist is a wrong setting that names the user."""
    with pytest.raises(SettingsError, match="'nobody-here'") as caught:
        load_settings(**{name: "~nobody-here/x"})
    assert name.upper() in caught.value.message


def test_no_folder_at_all_is_refused() -> None:
    """A list of transcript folders without a folder in it is named in our words."""
    with pytest.raises(SettingsError, match="CLAUDE_DIR: names no folder"):
        load_settings(claude_dir=os.pathsep)


def test_two_names_of_one_folder_are_one_root(home: Path) -> None:
    """Claude Code's own folder and the ``projects`` in it are the same transcripts."""
    projects = home / ".claude" / "projects"
    projects.mkdir(parents=True)
    both = os.pathsep.join(map(str, (projects.parent, projects)))
    assert load_settings(claude_dir=both).claude_dirs == (projects.resolve(),)


def test_bytes_that_are_no_text_are_refused() -> None:
    """A path that is not UTF-8 is named before a library fails at it."""
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(annals_home=os.fsdecode(b"/tmp/caf\xe9"))


def test_without_home_a_path_below_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names HOME, and each setting that needs it."""
    monkeypatch.delenv("HOME")
    with pytest.raises(SettingsError, match="HOME is not set") as caught:
        load_settings()
    for name in ("ANNALS_HOME", "SQLITE_PATH"):
        assert name in caught.value.message


def test_without_home_absolute_paths_are_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing needs HOME if every path is set."""
    monkeypatch.delenv("HOME")
    found = load_settings(claude_dir=tmp_path, annals_home=tmp_path, sqlite_path=tmp_path / "b.db")
    assert found.warehouse_file == tmp_path / "analytics.db"


def test_a_command_says_that_home_is_missing(annals: Run) -> None:
    """Exit 3, and no state is made anywhere."""
    done = annals("status", HOME="")
    assert done.code == 3
    assert "HOME is not set" in done.err
