"""Every place below a root is in custody, foreign, ignored by a rule, or a row outside custody."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from annals.records.conversations import KNOWN_TYPES, is_conversation
from annals.settings import Settings, load_settings
from annals.settings.roots import other_places, root_notes
from annals.settings.sample import wants_sample
from flows.validation.places import check_places
from operations.doctor.findings import Verdict
from operations.doctor.places import places as examine_places
from sync_agent.agent.once import sync_once
from sync_agent.reading.ledger import custody
from sync_agent.reading.paths import discover, shown
from sync_agent.watching import watch
from tests.conftest import Run
from tests.sync_agent.places import CHAT, Place, assert_balanced
from tests.sync_agent.running_agents import until
from tests.sync_agent.test_rounds import reading

LINE = b'{"type":"user","sessionId":"s","uuid":"u"}\n'


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def _deep(path: Path) -> None:
    """Make folders below ``path`` until the whole path is longer than the system takes."""
    made = os.open(path.parent, os.O_RDONLY)
    try:
        for name in [path.name, *["d" * 250] * 17]:
            os.mkdir(name, dir_fd=made)
            below = os.open(name, os.O_RDONLY, dir_fd=made)
            os.close(made)
            made = below
    finally:
        os.close(made)


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "a.jsonl": lambda path, _: path.write_bytes(LINE),
    "fifo.jsonl": lambda path, _: os.mkfifo(path),
    "socket.jsonl": lambda path, _: _socket(path),
    "device.jsonl": lambda path, _: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "dangling.jsonl": lambda path, _: path.symlink_to("gone.jsonl"),
    "self.jsonl": lambda path, _: path.symlink_to(path.name),
    "out.jsonl": lambda path, outside: path.symlink_to(outside / "x.jsonl"),
    "up": lambda path, _: path.symlink_to(".."),
    "above": lambda path, outside: path.symlink_to(outside.parent),
    "nested-out": lambda path, outside: path.symlink_to(outside),
    "dangling-folder": lambda path, _: path.symlink_to("gone"),
    "foreign.jsonl": lambda path, _: path.write_bytes(b'{"text":"a line of a data set"}\n'),
    "notes.txt": lambda path, _: path.write_bytes(b"x"),
    os.fsdecode(b"\xff.jsonl"): lambda path, _: path.write_bytes(LINE),
    ".hidden.jsonl": lambda path, _: path.write_bytes(LINE),
    "long": lambda path, _: _deep(path),
}


def _walk(root: Path) -> set[bytes]:
    """Return every entry that a walk sees, links not followed."""
    return {
        folder + b"/" + name
        for folder, folders, files in os.walk(os.fsencode(root))
        for name in (*folders, *files)
    }


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def test_custody_and_outside_are_all_that_a_walk_sees(tmp_path: Path) -> None:
    """C4 L-08 Whatever a folder can hold is read, or a row; nothing is skipped in silence."""
    place = Place(tmp_path / "home")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.jsonl").write_bytes(LINE)
    folder = place.root / "-project"
    folder.mkdir()
    for name, make in KINDS.items():
        make(folder / name, outside)
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "2.jsonl").write_bytes(LINE)
    (place.root / "-linked").symlink_to(disk, target_is_directory=True)
    (place.root / "direct.jsonl").write_bytes(LINE)
    place.sync()
    kept = place.custody()
    assert_balanced(kept)
    listing = discover(place.root)
    read = {found.path for found in listing.files}
    rows = {one.path for one in listing.outside}
    links = {path for path, _ in listing.links}
    assert not read & rows
    folders = {path for path in _walk(place.root) if os.path.isdir(path)} - links  # noqa: PTH112 -- bytes
    by_rule = {
        path
        for path in _walk(place.root) - read - rows - links
        if _name(path).startswith(b".") or not path.endswith(b".jsonl")
    }
    assert _walk(place.root) - folders <= read | rows | links | by_rule
    assert {_name(path) for path in by_rule - folders} == {
        b"notes.txt",
        b".hidden.jsonl",
    }
    assert len(kept.outside) == 11, kept.outside
    assert {_name(path) for path in links} == {b"-linked"}
    assert kept.foreign == (str(folder / "foreign.jsonl"),)
    assert kept.ignored == (str(folder / ".hidden.jsonl"),)
    assert any("File name too long" in one.why for one in kept.outside)
    subprocess.run(["rm", "-rf", str(folder / "long")], check=True)


def test_a_place_outside_custody_is_told_by_every_command(tmp_path: Path) -> None:
    """L-08 Doctor fails, validate says "not proven", the ledger has the row."""
    place = Place(tmp_path)
    place.write(CHAT, LINE)
    (place.root / "-project").mkdir()
    (place.root / "-project" / "gone.jsonl").symlink_to("nowhere")
    place.sync()
    (row,) = place.custody().outside
    assert row.path.endswith("gone.jsonl")
    told = [
        finding for finding in examine_places(place.settings) if finding.verdict is Verdict.FAIL
    ]
    assert len(told) == 1
    found = check_places(place.settings)
    assert (found.figures["places_not_proven"], len(found.faults)) == (1, 1)
    assert found.faults[0].startswith("not proven: ")


def test_what_a_pattern_leaves_out_is_listed(tmp_path: Path, in_process: Run) -> None:
    """L-08 Transcripts and project folders that IGNORE_PATTERNS names are shown."""
    place = Place(tmp_path)
    place.write(CHAT, LINE)
    for name in (".old/chat.jsonl", "-project/.chat.jsonl", "-project/.notes", "-project/.git/x"):
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE)
    place.sync()
    expected = {str(place.root / ".old"), str(place.root / "-project" / ".chat.jsonl")}
    assert set(place.custody().ignored) == expected
    (row,) = [one for one in examine_places(place.settings) if one.check == "ignored"]
    assert row.verdict is Verdict.OK
    names = ("claude_dir", "sqlite_path", "annals_home")
    variables = [f"--set={name.upper()}={getattr(place.settings, name)}" for name in names]
    said = in_process(*variables, "status").out
    for path in expected:
        assert path in row.says, path
        assert path in said, path


def test_a_project_folder_that_is_a_link_is_read(tmp_path: Path) -> None:
    """R-03 The link that a person made to a bigger disk is followed, under the link's own name."""
    place = Place(tmp_path / "home")
    disk = tmp_path / "disk" / "-shared"
    disk.mkdir(parents=True)
    (disk / "1.jsonl").write_bytes(LINE)
    (place.root / "-shared").symlink_to(disk, target_is_directory=True)
    (place.root / "-twice").symlink_to(disk, target_is_directory=True)
    assert place.sync().entries_new == 1
    (entry,) = place.kept("entry")
    assert entry.path == os.fsencode(place.root / "-shared" / "1.jsonl")
    (disk / "1.jsonl").write_bytes(LINE * 2)
    assert place.sync().entries_new == 1
    assert place.custody().outside == ()
    assert_balanced(place.custody())


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_the_root_or_above_it_is_refused_by_name(place: Place, target: str) -> None:
    """R-03 Neither the root again, nor what holds it, is read through a link."""
    place.write(CHAT, LINE)
    (place.root / "-loop").symlink_to(target, target_is_directory=True)
    listing = discover(place.root)
    assert len(listing.files) == 1
    assert any("-loop was skipped" in warning for warning in listing.warnings)


@pytest.mark.skipif(sys.platform == "win32", reason="no such users there")
def test_what_may_not_be_read_is_a_row(place: Place) -> None:
    """R-05 L-08 A folder and a file without permissions are rows, for a user who is not root."""
    place.write(CHAT, LINE)
    closed = place.root / "-closed"
    closed.mkdir(mode=0)
    (place.root / CHAT).chmod(0)
    if os.access(closed, os.R_OK):
        pytest.skip("root may read everything")
    assert len(custody(place.settings).outside) == 2


def _settings(home: Path, **environment: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for name, value in environment.items():
            patch.setenv(name, value)
        return load_settings()


def test_transcripts_are_found_where_they_are_kept(home: Path) -> None:
    """R-08 CLAUDE_CONFIG_DIR first, else both known places that exist, else the usual one."""
    usual, other = home / ".claude" / "projects", home / ".config" / "claude" / "projects"
    assert _settings(home).claude_dirs == (usual,)
    other.mkdir(parents=True)
    assert _settings(home).claude_dirs == (other,)
    usual.mkdir(parents=True)
    assert _settings(home).claude_dirs == (usual, other)
    config = home / "work"
    found = _settings(home, CLAUDE_CONFIG_DIR=str(config))
    assert found.claude_dirs == (config / "projects",)
    (usual / "-p").mkdir()
    (usual / "-p" / "1.jsonl").write_bytes(LINE)
    assert other_places(found.claude_dirs, {"CLAUDE_CONFIG_DIR": str(config)}) == [usual]


def test_transcripts_in_any_known_place_are_no_sample(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is shown only if no place where transcripts are kept has one."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "work"))
    assert wants_sample(load_settings())
    old = home / ".config" / "claude" / "projects" / "-p"
    old.mkdir(parents=True)
    (old / "1.jsonl").write_bytes(LINE)
    assert not wants_sample(load_settings())


@pytest.mark.parametrize("named", [".claude", ".", ".claude/projects"])
def test_the_folder_above_means_its_projects(home: Path, named: str) -> None:
    """R-08 CLAUDE_DIR=~/.claude, or the home folder, means the transcripts in it, and says so."""
    projects = home / ".claude" / "projects"
    (projects / "-p").mkdir(parents=True)
    (projects / "-p" / "1.jsonl").write_bytes(LINE)
    (home / ".claude" / "history.jsonl").write_bytes(b'{"display":"x"}\n')
    (home / "data.jsonl").write_bytes(b'{"text":"x"}\n')
    settings = load_settings(claude_dir=home / named)
    assert settings.claude_dirs == (projects,)
    assert bool(root_notes(settings.given_claude_dirs)) is (named != ".claude/projects")
    assert sync_once(settings).entries_new == 1


def test_a_default_root_that_is_lost_is_a_row(home: Path) -> None:
    """R-06 One of two default places that goes missing is named, not left out in silence."""
    for place in (home / ".claude" / "projects", home / ".config" / "claude" / "projects"):
        (place / "-p").mkdir(parents=True)
        (place / "-p" / "1.jsonl").write_bytes(LINE)
    assert sync_once(load_settings()).entries_new == 2
    (home / ".claude").rename(home / "unmounted")
    (row,) = custody(load_settings()).outside
    assert row.path == str(home / ".claude" / "projects")


def test_a_foreign_file_becomes_a_session_when_one_is_in_it(place: Place) -> None:
    """L-10 A file without a record of a conversation is foreign until one is appended."""
    path = place.write("-p/train.jsonl", b'{"text":"a"}\n')
    place.sync()
    assert place.custody().foreign == (shown(os.fsencode(path)),)
    place.append("-p/train.jsonl", LINE)
    place.sync()
    assert place.custody().foreign == ()


def test_records_of_other_programs_are_told_by_type_and_uuid() -> None:
    """L-10 A known type, or any type with a uuid, is of a conversation; nothing else is."""
    assert all(is_conversation(kind, None) for kind in KNOWN_TYPES)
    assert is_conversation("of-the-future", "u")
    assert not is_conversation("of-the-future", None)
    assert not is_conversation(None, "u")


def test_the_target_of_a_linked_project_folder_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-52 Lines in a link's target are reported; so is a link that leads elsewhere from now on."""
    monkeypatch.setattr(watch, "BUSY_SECONDS", 120.0)
    place = Place(tmp_path / "home")
    first, second = tmp_path / "first", tmp_path / "second"
    for disk, lines in ((first, LINE), (second, b'{"type":"system"}\n' * 3)):
        disk.mkdir()
        (disk / "1.jsonl").write_bytes(lines)
    link = place.root / "-shared"
    link.symlink_to(first, target_is_directory=True)
    with reading(place) as activity:
        until(lambda: len(place.lines()) == 1)
        with (first / "1.jsonl").open("ab") as file:
            file.write(LINE)
        until(lambda: len(place.lines()) == 2)
        (place.root / "new").symlink_to(second, target_is_directory=True)
        (place.root / "new").rename(link)
        until(lambda: len(place.lines()) >= 5)
        with (second / "1.jsonl").open("ab") as file:
            file.write(LINE)
        until(lambda: len(place.lines()) >= 6)
    assert activity.errors == {}
