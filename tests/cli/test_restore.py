"""``annals sessions restore`` and ``export``: a deleted transcript comes back, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from examples.generator import write_sample
from sync_agent.buffer.store import open_buffer
from tests.conftest import ROOT, Finished, start
from tests.extractors.buffers import LOCATION, Buffer

MAIN = "12ac4d46-f27f-4c91-a715-ed92840131f8"
FOLDER = "-home-ada-src-tide-tables"
ODD = {
    "0dd00001-0000-4000-8000-000000000001": b"%s\r\n%s\r\n%s\r\n",
    "0dd00002-0000-4000-8000-000000000002": b"\xef\xbb\xbf%s\nnot JSON at all\n%s\n%s\n",
    "0dd00003-0000-4000-8000-000000000003": b"%s\n%s\n\n\n%s\n",
    "0dd00004-0000-4000-8000-000000000004": b'%s\n%s\n%s\n{"type": "user", "mess',
    "0dd00005-0000-4000-8000-000000000005": b"%s\n%s\n%s",
    "0dd00006-0000-4000-8000-000000000006": b"%s%s\n%s\n",
}


def _line(session: str, number: int, size: int = 3000) -> bytes:
    return json.dumps(
        {
            "type": "user",
            "sessionId": session,
            "uuid": f"{session[:24]}{number:012d}",
            "timestamp": f"2026-09-0{number + 1}T10:00:00.000Z",
            "cwd": "/home/ada/src/odd",
            "message": {"role": "user", "content": "x" * size},
        }
    ).encode()


class Home:
    """A home that was read by the pipeline; ``put_back`` makes its transcripts what they were."""

    def __init__(self, home: Path) -> None:
        self.home, self.projects = home, home / ".claude" / "projects"
        write_sample(self.projects)
        folder = self.projects / "-home-ada-src-odd"
        folder.mkdir()
        for session, form in ODD.items():
            content = form % tuple(_line(session, number) for number in range(3))
            (folder / f"{session}.jsonl").write_bytes(content)
        done = self.run("pipeline", "--json")
        assert done.code == 0, done.err
        self.original = home / "original"
        shutil.copytree(self.projects, self.original)

    def run(self, *words: str) -> Finished:
        """Run a command in this home."""
        return start(*words, home=self.home, cwd=self.home)

    def put_back(self) -> None:
        """Make the transcripts what they were when they were read."""
        if self.projects.is_symlink():
            self.projects.unlink()
        shutil.rmtree(self.projects, ignore_errors=True)
        shutil.copytree(self.original, self.projects)

    def delete(self, session: str = MAIN, folder: str = FOLDER) -> None:
        """Delete the transcripts of a session, as the agent does."""
        (self.projects / folder / f"{session}.jsonl").unlink()
        shutil.rmtree(self.projects / folder / session, ignore_errors=True)

    def is_as_it_was(self) -> bool:
        """Return whether every transcript has the bytes that were read, and none is missing."""
        return _content(self.projects) == _content(self.original)


def _content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return the one home of these tests."""
    return Home(tmp_path_factory.mktemp("held"))


@pytest.fixture
def kept(held: Home) -> Home:
    """Return that home with all its transcripts in their place."""
    held.put_back()
    return held


def test_a_deleted_transcript_comes_back_and_adds_nothing(kept: Home) -> None:
    """Main file and subagents' files have their bytes and mode 0600; read again, nothing is new."""
    before = kept.run("usage", "session", "--json").data["totals"]
    kept.delete()
    done = kept.run("sessions", "restore", MAIN[:8], "--json")
    assert done.code == 0, done.err
    assert [one["outcome"] for one in done.data["transcripts"]] == ["restored", "restored"]
    assert kept.is_as_it_was()
    restored = kept.projects / FOLDER / f"{MAIN}.jsonl"
    assert stat.S_IMODE(restored.stat().st_mode) == 0o600
    assert not list(kept.projects.rglob("*.tmp"))
    assert kept.run("pipeline", "--json").code == 0
    assert kept.run("usage", "session", "--json").data["totals"] == before
    again = kept.run("sessions", "restore", MAIN)
    assert again.code == 0
    assert again.out.count("already there") == 2


@pytest.mark.parametrize("session", ODD)
def test_odd_bytes_come_back_too(kept: Home, session: str) -> None:
    """Line ends, marks, damaged and spliced lines are restored; what was never read is said."""
    path = kept.projects / "-home-ada-src-odd" / f"{session}.jsonl"
    was = path.read_bytes()
    path.unlink()
    done = kept.run("sessions", "restore", session, "--json")
    (one,) = done.data["transcripts"]
    if session.startswith("0dd00004"):
        assert done.code == 6
        assert one["lost_bytes"] == len(b'{"type": "user", "mess')
        assert path.read_bytes() == was[: -one["lost_bytes"]]
        return
    assert path.read_bytes() == was
    is_proven = one["proof"] != "none"
    assert done.code == (0 if is_proven else 6)
    assert is_proven or "concluded" in one["doubt"]


def test_the_lake_alone_is_enough(kept: Home) -> None:
    """Without the buffer the records of the lake give the same bytes."""
    buffer = kept.home / ".claude-sync"
    aside = buffer.rename(kept.home / "aside")
    kept.delete()
    done = kept.run("sessions", "restore", MAIN)
    shutil.rmtree(buffer, ignore_errors=True)
    aside.rename(buffer)
    assert done.code in (0, 6), done.err
    assert kept.is_as_it_was()


@pytest.mark.parametrize("name", ["josé-日本", os.fsdecode(b"caf\xe9"), "a\\b"])
def test_names_in_any_script_come_back(home: Path, name: str) -> None:
    """A root, a project and a subagent's file may have any name, UTF-8 or not."""
    root = home / name
    main = root / f"-{name}" / f"{MAIN}.jsonl"
    below = main.with_suffix("") / "subagents" / f"agent-{name}.jsonl"
    below.parent.mkdir(parents=True)
    for path in (main, below):
        path.write_bytes(_line(MAIN, 1) + b"\n")
    was = _content(root)
    assert start("sync", "once", home=home, cwd=home, CLAUDE_DIR=str(root)).code == 0
    shutil.rmtree(main.parent)
    done = start("sessions", "restore", MAIN, home=home, cwd=home, CLAUDE_DIR=str(root))
    assert done.code == 0, done.err
    assert _content(root) == was


def test_a_session_without_a_transcript_of_its_own_is_said(home: Path) -> None:
    """Records of a session may lie in the file of another one only, which is named (exit 2)."""
    other = "0dd00009-0000-4000-8000-000000000009"
    path = home / ".claude" / "projects" / "-p" / f"{other}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(_line("resumed-from", 1) + b"\n")
    assert start("sync", "once", home=home, cwd=home).code == 0
    for command in ("restore", "export"):
        done = start("sessions", command, "resumed-from", home=home, cwd=home)
        assert done.code == 2
        assert f"{other}.jsonl" in done.err


def test_what_is_there_is_never_changed(kept: Home) -> None:
    """A file with other content is exit code 8, one that has grown is left; no file is written."""
    kept.delete()
    path = kept.projects / FOLDER / f"{MAIN}.jsonl"
    path.write_bytes(b"something else\n")
    done = kept.run("sessions", "restore", MAIN)
    assert done.code == 8
    assert str(path) in done.err
    assert "--to" in done.err
    assert path.read_bytes() == b"something else\n"
    assert not (kept.projects / FOLDER / MAIN).exists(), "nothing of it is restored"
    kept.put_back()
    with path.open("ab") as file:
        file.write(_line(MAIN, 1) + b"\n")
    grown = path.read_bytes()
    done = kept.run("sessions", "restore", MAIN)
    assert done.code == 0
    assert "there, and longer" in done.out
    assert path.read_bytes() == grown


def test_another_place_and_a_dry_run(kept: Home, tmp_path: Path) -> None:
    """--dry-run writes nothing, --to writes below a folder, --map takes another machine's path."""
    kept.delete()
    dry = kept.run("sessions", "restore", MAIN, "--dry-run")
    assert dry.code == 0
    assert "would restore" in dry.out
    assert not (kept.projects / FOLDER / f"{MAIN}.jsonl").exists()
    assert kept.run("sessions", "restore", MAIN, "--to", str(tmp_path / "to")).code == 0
    restored = _content(tmp_path / "to")
    assert restored
    assert restored.items() <= _content(kept.original).items()
    words = ("sessions", "restore", MAIN, "--map")
    outside = kept.run(*words, f"{kept.projects}=/elsewhere")
    assert outside.code == 2
    assert "below none of" in outside.err
    assert kept.run(*words, f"{kept.projects}={kept.projects}/../../out").code == 2
    assert kept.run(*words, "no-path").code == 2
    moved = f"{kept.projects}/{FOLDER}={kept.projects}/-moved"
    assert kept.run(*words, moved).code == 0
    assert (kept.projects / "-moved" / f"{MAIN}.jsonl").is_file()


def test_no_link_is_followed(kept: Home, tmp_path: Path) -> None:
    """A project folder that is a link now is refused by name, and nothing lands behind it."""
    kept.delete()
    shutil.rmtree(kept.projects / FOLDER)
    (kept.projects / FOLDER).symlink_to(tmp_path, target_is_directory=True)
    done = kept.run("sessions", "restore", MAIN)
    assert done.code == 3
    assert FOLDER in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(kept: Home, tmp_path: Path) -> None:
    """Where the space ends the exit code is 10, and no part of the file is there."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        done = kept.run("sessions", "restore", MAIN, "--to", str(small))
        assert [path for path in small.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert done.code == 10
    assert "no space left" in done.err


@pytest.mark.parametrize(
    ("project", "offset", "code"),
    [("../../out", 0, 2), ("{home}/out", 0, 2), ("-p", 3 * 10**9, 9), ("-p", 10**15, 9)],
)
def test_what_a_record_says_of_its_place_is_not_believed(
    home: Path, project: str, offset: int, code: int
) -> None:
    """A project that leads elsewhere is refused, and so is a gap that would fill memory or disk."""
    with open_buffer(home / ".claude-sync" / "buffer.db"):
        buffer = Buffer(home / ".claude-sync" / "buffer.db")
    buffer.execute(LOCATION)
    buffer.execute("update locations set project_id = ?", project.format(home=home))
    buffer.offset = offset
    buffer.append([b'{"type": "user"}'])
    to = str(home / "below" / "to")
    done = start("sessions", "restore", "s", "--to", to, home=home, cwd=home)
    assert done.code == code, done.err
    assert not list(home.rglob("*.jsonl"))


def test_an_export_has_the_transcripts_own_bytes(kept: Home) -> None:
    """The main file goes to standard output as it was, and nothing else does."""
    was = (kept.projects / FOLDER / f"{MAIN}.jsonl").read_bytes()
    kept.delete()
    done = kept.run("sessions", "export", MAIN[:10])
    assert done.code == 0, done.err
    assert done.out.encode() == was


def test_what_takes_no_bytes_is_named(kept: Home, tmp_path: Path) -> None:
    """A full output, one that is left, and a file in place of a folder: never the lake's fault."""
    command = f"{sys.executable} -m analytics.cli sessions export {MAIN}"
    for output, code, words in (("> /dev/full", 10, "no space left"), ("| exec true", 0, "")):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{command} {output}"],
            env={"HOME": str(kept.home), "PATH": os.environ["PATH"]},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "iceberg" not in done.stderr
    path = tmp_path / "file"
    path.touch()
    refused = kept.run("sessions", "restore", MAIN, "--to", str(path))
    assert refused.code == 3
    assert str(path) in refused.err


def test_a_session_is_found_by_the_beginning_of_its_id(kept: Home) -> None:
    """A prefix of no session or of several is exit code 2, with the candidates."""
    several = kept.run("sessions", "restore", "0dd0000")
    assert several.code == 2
    assert "0dd00001" in several.err
    for command in ("restore", "export"):
        none = kept.run("sessions", command, "ffffffff")
        assert none.code == 2
        assert "annals sessions list" in none.err


def test_status_and_doctor_say_what_is_deleted_and_what_will_be(kept: Home) -> None:
    """Deleted files are counted as kept; those due within a week too, by the agent's own period."""
    claude_settings = kept.projects.parent / "settings.json"
    claude_settings.write_text('{"cleanupPeriodDays": 3}')
    kept.delete()
    assert kept.run("sync", "once", "--json").code == 0
    now = kept.run("status", "--json").data
    text = kept.run("status").out
    doctor = {one["check"]: one for one in kept.run("doctor", "--json").data["findings"]}
    claude_settings.unlink()
    assert now["custody"]["files_vanished"] == 2
    assert now["expiry"]["period_days"] == 3
    assert now["expiry"]["due"] == now["custody"]["files"] > 0
    assert f"{now['expiry']['due']} files are deleted by the agent within 7 days" in text
    assert doctor["deletions"]["says"].startswith("2 transcripts are deleted and kept here, and ")
    later = kept.run("status", "--json").data
    assert later["expiry"]["due"] == 0, "30 days are far away"
