"""Several roots: ``CLAUDE_DIR`` in the way of ``PATH``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annals.errors import SettingsError, TranscriptError
from annals.settings import Settings, load_settings
from sync_agent.agent.once import sync_once
from sync_agent.reading.ledger import custody
from tests.conftest import Run
from tests.sync_agent.places import CHAT, Place, assert_balanced

LINE = b'{"type":"user","n":%d}\n'


@pytest.fixture
def places(tmp_path: Path) -> tuple[Place, Place]:
    """Return two roots, each with its place."""
    return Place(tmp_path / "one"), Place(tmp_path / "two")


def both(places: tuple[Place, Place]) -> Settings:
    """Return settings that name both roots, with the buffer of the first."""
    first, second = places
    roots = os.pathsep.join(map(str, (first.root, second.root)))
    return first.settings.model_copy(update={"claude_dir": Path(roots)})


def test_roots_are_joined_as_in_path(tmp_path: Path) -> None:
    """R-08 Folders are joined by the separator of PATH; one that is named twice counts once."""
    one, two = tmp_path / "one", tmp_path / "two"
    joined = f"{one}{os.pathsep}{two}{os.pathsep}{one}/../one"
    assert load_settings(claude_dir=joined).claude_dirs == (one, two)
    assert load_settings(claude_dir=[one, two]).claude_dirs == (one, two)
    assert load_settings(claude_dir="~/x").claude_dirs == (Path.home() / "x",)


def test_a_root_below_another_is_refused(tmp_path: Path) -> None:
    """R-08 A file below two roots would be two files; the settings say so, with exit code 3."""
    with pytest.raises(SettingsError, match="lies below"):
        load_settings(claude_dir=[tmp_path, tmp_path / "below"])


def test_each_root_has_its_own_state(places: tuple[Place, Place]) -> None:
    """R-08 Both roots are read into one buffer; what vanishes in one is nothing to the other."""
    first, second = places
    first.write(CHAT, LINE % 1)
    second.write("-b/2.jsonl", LINE % 2 + LINE % 3)
    report = sync_once(both(places))
    assert (report.files_seen, report.entries_new) == (2, 3)
    (second.root / "-b" / "2.jsonl").unlink()
    report = sync_once(both(places))
    assert (report.files_seen, report.files_vanished, report.bytes_read) == (1, 1, 0)
    kept = custody(both(places))
    assert (kept.files, kept.files_vanished) == (1, 1)
    assert_balanced(kept)


def test_equal_files_in_two_roots_are_copies(places: tuple[Place, Place]) -> None:
    """R-08 The same session in two roots is read twice under the same ids."""
    first, second = places
    first.write(CHAT, LINE % 1 + LINE % 2)
    second.write(CHAT, LINE % 1 + LINE % 2)
    assert sync_once(both(places)).entries_new == 4
    assert len({entry.entry_id for entry in first.kept("entry")}) == 2


def test_a_missing_root_does_not_keep_others_from_being_read(places: tuple[Place, Place]) -> None:
    """R-08 One missing root is named, and nothing in it vanishes; all missing is an error."""
    first, second = places
    first.write(CHAT, LINE % 1)
    second.write("-b/2.jsonl", LINE % 2)
    sync_once(both(places))
    away = second.root.with_name("away")
    second.root.rename(away)
    first.append(CHAT, LINE % 3)
    report = sync_once(both(places))
    assert (report.entries_new, report.files_vanished, report.places_unreadable) == (1, 0, 1)
    assert str(second.root) in report.warnings[0]
    assert custody(both(places)).places_unreadable == 1
    first.root.rename(first.root.with_name("gone"))
    with pytest.raises(TranscriptError):
        sync_once(both(places))


def test_a_pipeline_over_two_roots_is_whole(places: tuple[Place, Place], annals: Run) -> None:
    """R-08 Named by repeated flags, both roots are read, counted once and proved to the byte."""
    first, second = places
    first.write(CHAT, LINE % 1)
    second.write(CHAT, LINE % 1)
    second.write("-b/2.jsonl", LINE % 2)
    flags = ("--claude-dir", str(first.root), "--claude-dir", str(second.root))
    done = annals("pipeline", "--json", *flags)
    assert done.code == 0, done.err
    assert done.data["custody"]["files"] == 3
    checked = annals("validate", "--deep", "--json")
    assert checked.code == 0, checked.out
    figures = {check["name"]: check["figures"] for check in checked.data["checks"]}
    assert figures["bronze"]["entries"] == 2
    assert figures["bytes"]["bytes_on_disk"] == 3 * len(LINE % 1)
    assert annals("status", "--json").data["custody"]["files"] == 3
