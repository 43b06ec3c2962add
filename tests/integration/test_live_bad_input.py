"""Bad input while the agent watches: what changes under it is read once or named, never lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sync_agent.agent.agent_status import sync_status
from tests.sync_agent.places import CHAT, Place, assert_balanced
from tests.sync_agent.running_agents import Agent, running, until

OTHER = "-home-u-other/22222222-0000-4000-8000-000000000000.jsonl"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a root that lies below a folder with a dot, as ~/.claude/projects does."""
    return Place(tmp_path / ".claude")


def line(number: int) -> bytes:
    """Return one line."""
    return b'{"type":"user","n":%d}\n' % number


def add(place: Place, name: str, data: bytes) -> None:
    """Append as a writer does, leaving the clock alone."""
    path = place.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(data)


def mode(agent: Agent, number: int = 0) -> str:
    """Return how a root is watched."""
    found: str = agent.health()["watchers"][number]["mode"]
    return found


def test_a_folder_replaced_by_a_link_is_no_loss(place: Place, tmp_path: Path) -> None:
    """W-20 A project folder that becomes a link is read, wherever the link leads."""
    add(place, "-a/1.jsonl", line(1))
    with running(place) as agent:
        (place.root / "-a").rename(place.root / "-kept")
        (place.root / "-a").symlink_to("-kept", target_is_directory=True)
        add(place, "-a/1.jsonl", line(2))
        until(lambda: {line(2)[:-1]} <= set(place.lines()))
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "9.jsonl").write_bytes(line(9))
        (place.root / "-a").unlink()
        (place.root / "-a").symlink_to(outside, target_is_directory=True)
        until(agent.has(3))
        assert agent.stop() == 0
    assert {entry.raw for entry in place.kept("entry")} == {
        line(1)[:-1],
        line(2)[:-1],
        line(9)[:-1],
    }
    assert_balanced(place.custody())


def test_a_file_that_grows_by_the_byte_is_read_as_lines(place: Place) -> None:
    """W-21 Written byte by byte, each line is one entry and nothing is quarantined."""
    data = b"".join(line(number) for number in range(12))
    with running(place) as agent:
        for byte in data:
            add(place, CHAT, bytes([byte]))
            time.sleep(0.002)
        until(agent.has(12))
        assert agent.health()["lagBytes"] == 0
        agent.stop()
    assert b"".join(raw + b"\n" for raw in place.lines()) == data
    assert place.kept("quarantine") == []
    assert_balanced(place.custody())


def test_an_unfinished_line_is_lag_until_it_is_whole(place: Place) -> None:
    """W-21 The bytes of an unfinished line are shown under the file's name, and then read."""
    with running(place) as agent:
        add(place, CHAT, b'{"type":"user","x":"' + b"x" * 200_000)
        name = CHAT.rpartition("/")[2]
        until(lambda: agent.health()["lag"] == {name: 200_020})
        for _ in range(30):
            add(place, CHAT, b"y" * 10_000)
        add(place, CHAT, b'"}\n')
        until(agent.has(1))
        until(lambda: agent.health()["lag"] == {})


def test_a_file_rewritten_in_place_is_a_new_generation(place: Place) -> None:
    """W-22 Shorter, longer or other content in the same file is read from the start."""
    path = place.write(CHAT, line(1) * 50)

    def newest() -> list[bytes]:
        kept = place.kept("entry")
        last = max(entry.generation for entry in kept)
        return [entry.raw for entry in kept if entry.generation == last]

    with running(place) as agent:
        for data in (line(2) * 3, line(3) * 200, line(4) * 200):
            with path.open("r+b") as file:
                file.write(data)
                file.truncate()
            until(lambda: newest() == data.splitlines())  # noqa: B023 -- asked at once
        assert agent.stop() == 0
    assert place.events().count("replaced") >= 3
    assert set(place.lines()) == {line(number)[:-1] for number in range(1, 5)}
    assert_balanced(place.custody())


def test_permissions_that_are_withdrawn_and_given_back(place: Place) -> None:
    """W-23 What may not be read is named, keeps its position, and is read when it may be."""
    place.write(CHAT, line(1))
    may_not = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    with running(place, *(may_not if os.geteuid() == 0 else [])) as agent:
        until(agent.has(1))
        path = place.root / CHAT
        path.chmod(0)
        add(place, CHAT, line(2)) if os.geteuid() == 0 else None
        until(agent.said("file_unreadable"))
        assert str(place.root) not in agent.told().replace(f"watching {place.root.name}", "")
        until(lambda: agent.health()["status"] == "degraded")
        path.chmod(0o644)
        until(agent.has(2))
        until(lambda: agent.health()["status"] == "ok")
        path.parent.chmod(0)
        add(place, CHAT, line(3)) if os.geteuid() == 0 else None
        until(agent.said("was skipped"))
        path.parent.chmod(0o755)
        until(agent.has(3))
        agent.stop()
    assert "vanished" not in place.events()
    assert_balanced(place.custody())


def test_a_root_that_is_made_again_is_watched_again(place: Place) -> None:
    """W-24 Deleted and made again, the root is read on; while it is missing nothing vanishes."""
    add(place, "-a/1.jsonl", line(1))
    with running(place) as agent:
        away = place.root.with_name("away")
        place.root.rename(away)
        until(lambda: mode(agent) == "missing")
        assert agent.health()["status"] == "degraded"
        assert place.events() == ["discovered"]
        away.rename(place.root)
        until(lambda: mode(agent) == "events")
        add(place, "-a/1.jsonl", line(2))
        until(agent.has(2))
        shutil.rmtree(place.root)
        place.root.mkdir()
        add(place, "-b/2.jsonl", line(3))
        until(agent.has(3))
        add(place, "-b/2.jsonl", line(4))
        assert until(agent.has(4)) < 5
        agent.stop()


def test_what_stays_wrong_is_told_once(place: Place) -> None:
    """W-24 However often a missing root is looked for, the log says once that it is missing."""
    place.root.rmdir()
    with running(place, ready=False) as agent:
        until(agent.said('"mode": "missing"'))
        time.sleep(3)
        told = agent.told()
        assert told.count('"mode": "missing"') == 1
        assert '"mode": "events"' not in told
        place.root.mkdir()
        until(agent.said('"mode": "events"'))


def test_a_missing_root_is_waited_for(place: Place) -> None:
    """W-24 Started before the root is there, the agent says so, and reads as soon as it is."""
    place.root.rmdir()
    with running(place) as agent:
        until(agent.said("waiting for it"))
        add(place, CHAT, line(1))
        until(agent.has(1))
        assert agent.stop() == 0


def _limited(script: str) -> list[str]:
    """Return words before a command that bound its watches, by the kernel in a user namespace."""
    enter = ["unshare", "-U", "-r", "sh", "-c", f'{script}\nexec "$@"', "sh"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system has no user namespaces")
    return enter


@pytest.mark.parametrize(
    ("limit", "named"),
    [
        ("max_inotify_watches", "fs.inotify.max_user_watches"),
        ("max_inotify_instances", "fs.inotify.max_user_instances"),
    ],
)
def test_an_exhausted_limit_falls_back_to_polling(place: Place, limit: str, named: str) -> None:
    """W-25 With no watch or watcher left the root is polled; the message names the limit."""
    enter = _limited(f"echo 0 > /proc/sys/user/{limit}")
    for number in range(6):
        add(place, f"-p{number}/1.jsonl", line(number))
    with running(place, *enter) as agent:
        until(lambda: mode(agent) == "poll")
        assert named in agent.told()
        assert named in agent.health()["watchers"][0]["note"]
        add(place, "-p5/1.jsonl", line(6))
        add(place, "-new/s/2.jsonl", line(7))
        until(agent.has(8))
        assert agent.stop() == 0
    assert_balanced(place.custody())


def test_only_folders_without_a_watch_are_polled(place: Place) -> None:
    """W-53 Beyond the limit folders are polled, and watched as soon as watches are free again."""
    more = place.root.parent / "more"
    limit = "/proc/sys/user/max_inotify_watches"
    raised = f"while kill -0 $$ && [ ! -e {more} ]; do sleep 0.1; done; echo 99 > {limit}"
    enter = _limited(f"echo 3 > {limit}; ({raised}) >/dev/null 2>&1 &")
    for number in range(6):
        add(place, f"-p{number}/1.jsonl", line(number))
    with running(place, *enter, WATCH_POLL_MS="50") as agent:
        until(lambda: _polled(agent) == 4)
        assert mode(agent) == "events"
        assert "4 folders are polled" in agent.told()
        assert "fs.inotify.max_user_watches" in agent.health()["watchers"][0]["note"]
        assert sync_status(place.settings).folders_polled == 4
        for number in range(6):
            add(place, f"-p{number}/1.jsonl", line(number + 6))
        add(place, "-p5/s/subagents/agent-1.jsonl", line(12))
        add(place, "-new/2.jsonl", line(13))
        until(agent.has(14))
        (place.root / "-p4").rename(place.root / "-p9")
        until(lambda: "moved" in place.events())
        more.touch()
        until(lambda: _polled(agent) == 0)
        assert agent.health()["watchers"][0]["note"] == ""
        add(place, "-p5/s/subagents/agent-1.jsonl", line(14))
        until(agent.has(15))
        assert agent.health()["watchMissedTotal"] == 0
        assert agent.stop() == 0
    assert_balanced(place.custody())


def _polled(agent: Agent) -> int:
    with contextlib.suppress(OSError):
        return int(agent.health()["watchers"][0]["foldersPolled"])
    return -1


def test_polling_finds_everything(place: Place) -> None:
    """W-26 WATCH_MODE=poll asks the system for no events; new files, growth and moves are found."""
    path = place.write(CHAT, line(0) * 500)
    with running(place, WATCH_MODE="poll", WATCH_POLL_MS="50") as agent:
        assert mode(agent) == "poll"
        links = Path(f"/proc/{agent.process.pid}/fd").iterdir()
        assert not any("inotify" in str(one.readlink()) for one in links)
        add(place, "-b/s/subagents/agent-1.jsonl", line(1))
        until(agent.has(501))
        (place.root / OTHER).parent.mkdir()
        path.rename(place.root / CHAT.replace("project", "other"))
        until(lambda: "moved" in place.events())
        agent.stop()
    assert len(place.lines()) == 501


def test_ignored_files_are_not_read_live(place: Place) -> None:
    """W-27 What the patterns name below the root is left alone, in folders made later too."""
    with running(place, IGNORE_PATTERNS="secret/ *.tmp scratch-*") as agent:
        add(place, "-a/secret/1.jsonl", line(1))
        add(place, "-a/scratch-1.jsonl", line(2))
        add(place, "-a/s/journal.jsonl", line(3))
        add(place, "top.jsonl", line(4))
        add(place, "-a/.kept.jsonl", line(5))
        until(agent.has(1))
        add(place, "-a/secret/1.jsonl", line(6))
        add(place, "-a/1.jsonl", line(7))
        until(agent.has(2))
        agent.stop()
    assert place.lines() == [line(5)[:-1], line(7)[:-1]]


def test_several_roots_are_watched_each_by_itself(place: Place, tmp_path: Path) -> None:
    """W-28 One root that is missing keeps no other from being read; copies keep their ids."""
    second, third = Place(tmp_path / "two"), tmp_path / "three"
    roots = os.pathsep.join(map(str, (place.root, second.root, third)))
    with running(place, CLAUDE_DIR=roots) as agent:
        add(place, CHAT, line(1))
        add(second, CHAT, line(1))
        until(agent.has(2))
        assert [mode(agent, number) for number in range(3)] == ["events", "events", "missing"]
        (third / "-c").mkdir(parents=True)
        (third / "-c" / "3.jsonl").write_bytes(line(3))
        until(agent.has(3))
        shutil.rmtree(second.root)
        add(place, CHAT, line(4))
        until(agent.has(4))
        assert "vanished" not in place.events()
        agent.stop()
    assert len({entry.entry_id for entry in place.kept("entry")}) == 3


def test_odd_things_in_the_root_are_named_and_not_opened(place: Place) -> None:
    """W-29 FIFOs, names that are not UTF-8, damaged lines: none of them stops the agent."""
    with running(place) as agent:
        folder = place.root / "-a"
        folder.mkdir()
        os.mkfifo(folder / "fifo.jsonl")
        (folder / "folder.jsonl").mkdir()
        with (folder / os.fsdecode(b"\xff\xfe.jsonl")).open("wb") as file:
            file.write(line(1))
        add(place, "-a/2.jsonl", b"\xff\xfe torn {\n" + line(2) + b"[1]\n" + b"\0\0\n")
        until(agent.has(2))
        until(agent.said("not a regular file"))
        assert agent.stop() == 0
    assert len(place.kept("quarantine")) == 2
    assert_balanced(place.custody())
