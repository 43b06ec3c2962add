"""Which files are taken for transcripts."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from annals.errors import SettingsError, TranscriptError
from annals.watching.ignores import USUAL, Ignores
from sync_agent.reading.paths import discover
from tests.sync_agent.places import CHAT, Place

LINE = b'{"type":"user"}\n'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a root that lies below a folder with a dot, as ~/.claude/projects does."""
    return Place(tmp_path / ".claude")


def names(place: Place) -> list[str]:
    """Return what is found, relative to the root."""
    root = os.fsencode(place.root)
    return sorted(os.fsdecode(item.path[len(root) + 1 :]) for item in discover(place.root).files)


def test_every_transcript_at_any_depth_is_found(place: Place) -> None:
    """R-01 Main, flat agent, nested agent and workflow agent files are all transcripts."""
    wanted = [
        "-a/1.jsonl",
        "-a/agent-1.jsonl",
        "-a/1/subagents/agent-2.jsonl",
        "-a/1/subagents/workflows/wf_1-2/agent-3.jsonl",
        "-a/node_modules/x/.y.jsonl/../z.jsonl".replace("/.y.jsonl/..", ""),
    ]
    for name in wanted:
        place.write(name, LINE)
    assert names(place) == sorted(wanted)


def test_other_files_are_ignored(place: Place) -> None:
    """R-02 Workflow journals, dot files, editors' files and other suffixes are ignored."""
    for name in (
        "-a/1/subagents/workflows/wf_1-2/journal.jsonl",
        "-a/.1.jsonl",
        "-a/.git/1.jsonl",
        "-a/1.jsonl.swp",
        "-a/1.jsonl.tmp",
        "-a/x.tmp/1.jsonl",
        "-a/1/tool-results/b1.txt",
        "-a/sessions-index.json",
    ):
        place.write(name, LINE)
    listing = discover(place.root)
    assert listing.files == []
    assert listing.warnings == []


def test_patterns_are_those_of_gitignore(place: Place) -> None:
    """R-02 Folders, anchors, wildcards and exceptions mean what they mean in .gitignore."""
    for name in ("-a/1.jsonl", "-b/1.jsonl", "-c/x/2.jsonl", "-c/y/2.jsonl", "-c/old-1.jsonl"):
        place.write(name, LINE)
    ignores = Ignores("/-b/ x/ old-* !-c/old-1.jsonl .*")
    root = os.fsencode(place.root)
    found = discover(place.root, ignores=ignores).files
    left = sorted(os.fsdecode(item.path[len(root) + 1 :]) for item in found)
    assert left == ["-a/1.jsonl", "-c/old-1.jsonl", "-c/y/2.jsonl"]


def test_patterns_meet_only_the_path_below_the_root(place: Place) -> None:
    """R-02 A pattern that fits a folder above the root ignores nothing."""
    place.write("-a/1.jsonl", LINE)
    for patterns in (".*", ".claude/ projects/ *.swp", "/projects"):
        assert len(discover(place.root, ignores=Ignores(patterns)).files) == 1


def test_a_pattern_without_meaning_is_told() -> None:
    """R-02 A pattern that cannot be understood names the setting, with exit code 3."""
    with pytest.raises(SettingsError, match="IGNORE_PATTERNS") as caught:
        Ignores("!")
    assert caught.value.exit_code == 3


def test_the_usual_patterns_mean_what_they_say(place: Place) -> None:
    """R-02 The default, which is decided from the name alone, decides as patterns do."""
    parsed = Ignores(f"{USUAL} never-there")
    names = (b"-a/.x", b"-a/x.tmp", b"-a/x.swp", b"-a/tmp", b"-a/x.jsonl", b".x", b"-.", b"a.tmpx")
    for name in names:
        for is_folder in (True, False):
            usual = Ignores().covers(name, is_folder=is_folder)
            assert usual == parsed.covers(name, is_folder=is_folder), name


def test_a_file_outside_any_project_is_named(place: Place) -> None:
    """R-02 A transcript in the root itself is skipped with a warning that tells the remedy."""
    place.write("1.jsonl", LINE)
    listing = discover(place.root)
    assert listing.files == []
    assert "CLAUDE_DIR" in listing.warnings[0]
    assert "1.jsonl" in listing.warnings[0]


def test_links_inside_the_root_are_followed(place: Place) -> None:
    """R-03 A link to a file or folder below the root leads to transcripts."""
    place.write("-a/1.jsonl", LINE)
    place.write("-a/.kept/2.jsonl", LINE)
    (place.root / "-b").mkdir()
    (place.root / "-b" / "1.jsonl").symlink_to("../-a/1.jsonl")
    (place.root / "-c").symlink_to("-a/.kept", target_is_directory=True)
    assert names(place) == ["-a/1.jsonl", "-b/1.jsonl", "-c/2.jsonl"]


def test_links_that_lead_nowhere_out_or_round_are_named(place: Place, tmp_path: Path) -> None:
    """R-03 Dangling, looping and outward links are skipped, each with a warning."""
    place.write("-a/1.jsonl", LINE)
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(LINE)
    folder = place.root / "-a"
    (folder / "dangling.jsonl").symlink_to("gone.jsonl")
    (folder / "self.jsonl").symlink_to("self.jsonl")
    (folder / "out.jsonl").symlink_to(outside)
    (folder / "up").symlink_to("..", target_is_directory=True)
    listing = discover(place.root)
    assert names(place) == ["-a/1.jsonl"]
    assert len(listing.warnings) == 4
    for name in ("dangling.jsonl", "self.jsonl", "out.jsonl", "-a/up"):
        assert sum(f"{name} was skipped" in warning for warning in listing.warnings) == 1


def test_folders_that_link_to_each_other_end(place: Place) -> None:
    """R-03 Each real folder is read once, under its own name; the links are named."""
    place.write("-a/1.jsonl", LINE)
    place.write("-b/2.jsonl", LINE)
    (place.root / "-a" / "b").symlink_to("../-b", target_is_directory=True)
    (place.root / "-b" / "a").symlink_to("../-a", target_is_directory=True)
    assert names(place) == ["-a/1.jsonl", "-b/2.jsonl"]
    assert [one.is_double for one in discover(place.root).outside] == [True, True]


def test_what_is_no_regular_file_is_never_opened(place: Place) -> None:
    """R-04 A FIFO, a socket, a device link and a folder called x.jsonl are skipped and named."""
    folder = place.root / "-a"
    (folder / "folder.jsonl").mkdir(parents=True)
    place.write("-a/folder.jsonl/1.jsonl", LINE)
    os.mkfifo(folder / "fifo.jsonl")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("socket.jsonl")
        report = place.sync()
    assert names(place) == ["-a/folder.jsonl/1.jsonl"]
    assert report.entries_new == 1
    named = "\n".join(report.warnings)
    assert all(name in named for name in ("fifo.jsonl", "socket.jsonl", "folder.jsonl"))


def test_a_missing_root_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """R-06 A root that is missing, or is a file, is an error that names it and the setting."""
    with pytest.raises(TranscriptError, match="nowhere") as caught:
        discover(tmp_path / "nowhere")
    assert "CLAUDE_DIR" in caught.value.hint
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(TranscriptError, match="not a folder"):
        discover(file)


def test_a_missing_root_makes_nothing_vanish(place: Place) -> None:
    """R-06 While the root is away no file is marked; when it is back nothing is read again."""
    place.write(CHAT, LINE)
    place.sync()
    away = place.root.with_name("away")
    place.root.rename(away)
    with pytest.raises(TranscriptError):
        place.sync()
    away.rename(place.root)
    report = place.sync()
    assert (report.files_vanished, report.bytes_read) == (0, 0)
    assert place.events() == ["discovered"]


def test_names_that_are_no_utf8_are_read(place: Place) -> None:
    """R-07 A file name of any bytes is read, and the id is made of these bytes."""
    path = place.write(os.fsdecode(b"-\xff/\xfe.jsonl"), LINE)
    assert place.sync().entries_new == 1
    (entry,) = place.kept("entry")
    assert (entry.key, entry.path) == (b"\xfe.jsonl", os.fsencode(path))
    assert place.query("select file_key, project_id from locations") == [("\\xfe.jsonl", "-\\xff")]
    place.sync()
    assert len(place.kept()) == 2


def test_an_empty_mount_point_makes_nothing_vanish(tmp_path: Path) -> None:
    """R-06 If the root's disk is not mounted, the empty folder in its place is not a deletion."""
    place = Place(tmp_path)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(place.root)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        place.write(CHAT, LINE)
        place.sync()
    finally:
        subprocess.run(["umount", "-l", str(place.root)], check=True)
    report = place.sync()
    assert report.files_vanished == 0
    assert "another disk" in report.warnings[0]
    assert place.events() == ["discovered"]
