"""The agent's life: how it starts, ends, is killed, shares, and what it does on a bad day."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from sync_agent.buffer.pruning import prune
from tests.conftest import Run
from tests.sync_agent.places import CHAT, Place, assert_balanced
from tests.sync_agent.running_agents import free_port, running, until
from tests.sync_agent.test_buffer import small_disk


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty root with a buffer beside it."""
    return Place(tmp_path)


def line(number: int) -> bytes:
    """Return one line."""
    return b'{"type":"user","n":%d}\n' % number


def add(place: Place, name: str, data: bytes) -> None:
    """Append as a writer does, leaving the clock alone."""
    path = place.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(data)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reads_the_rest_and_ends_well(place: Place, number: int) -> None:
    """W-30 What is on disk when the signal comes is in the buffer when the agent has ended."""
    with running(place) as agent:
        for file in range(40):
            add(place, f"-a/{file}.jsonl", line(file) * 50)
        assert agent.stop(number) == 0
        assert "stopped" in agent.told()
    assert len(place.lines()) == 2000
    assert_balanced(place.custody())


def test_a_signal_that_comes_early_is_heeded(place: Place) -> None:
    """W-30 From the moment on that the agent holds its buffer a signal ends it in order."""
    place.write(CHAT, line(1) * 10)
    with running(place, ready=False) as agent:
        until(
            lambda: place.settings.buffer_lock.exists() and place.settings.buffer_lock.read_text()
        )
        assert agent.stop() == 0
    assert len(place.lines()) == 10


def test_the_end_comes_within_the_deadline(place: Place) -> None:
    """W-30 With more left than can be read in time the agent ends all the same."""
    data = line(1) * 400_000
    place.write(CHAT, data)
    with running(place, ready=False, SHUTDOWN_TIMEOUT_S="0.2") as agent:
        until(agent.has(1))
        started = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - started < 30
    before = len(place.lines())
    assert 0 < before < 400_000
    place.sync()
    assert len(place.lines()) == 400_000
    assert_balanced(place.custody())


def test_a_second_signal_ends_at_once_and_loses_nothing(place: Place) -> None:
    """W-31 The second signal does not wait for anything; the next start reads on."""
    place.write(CHAT, line(1) * 400_000)
    with running(place, ready=False, SHUTDOWN_TIMEOUT_S="60") as agent:
        until(agent.has(1))
        agent.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert agent.stop(signal.SIGINT) == 130
    before = len(place.lines())
    assert before < 400_000
    with running(place) as agent:
        until(agent.has(400_000))
        agent.stop()
    assert len(place.lines()) == 400_000
    assert_balanced(place.custody())


def test_killed_at_any_point_nothing_is_lost(place: Place) -> None:
    """W-32 Killed again and again while it reads, the agent has every line once in the end."""
    for file in range(60):
        add(place, f"-a/{file}.jsonl", line(file) * 400)
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        with running(place, ready=False) as agent:
            until(place.settings.sqlite_path.exists)
            time.sleep(pause)
            agent.process.kill()
            agent.process.wait()
        add(place, "-a/1.jsonl", line(1))
    with running(place) as agent:
        until(agent.has(60 * 400 + 6))
        agent.stop()
    assert len(place.lines()) == 60 * 400 + 6
    assert_balanced(place.custody())


def test_a_buffer_has_one_agent(place: Place, annals: Run) -> None:
    """W-33 A second agent ends with exit code 7 and names the first; a sync leaves it to it."""
    place.write(CHAT, line(1))
    with running(place) as agent:
        with running(place, ready=False) as second:
            assert second.process.wait(timeout=180) == 7
            assert f"pid {agent.process.pid}" in second.told()
            assert "since 20" in second.told()
        settings = {
            "CLAUDE_DIR": str(place.root),
            "SQLITE_PATH": str(place.settings.sqlite_path),
            "ANNALS_HOME": str(place.settings.annals_home),
        }
        done = annals("sync", "once", **settings)
        assert done.code == 0
        assert f"reading is left to sync run (pid {agent.process.pid}" in done.err


def test_a_stale_lock_is_taken_over(place: Place) -> None:
    """W-33 The lock of a killed agent does not keep the next one from starting."""
    with running(place) as agent:
        agent.process.kill()
        agent.process.wait()
    assert place.settings.buffer_lock.read_text()
    with running(place) as agent:
        add(place, CHAT, line(1))
        until(agent.has(1))
        holder = json.loads(place.settings.buffer_lock.read_text())
        assert (holder["pid"], holder["role"]) == (agent.process.pid, "sync run")


def test_a_service_manager_is_told(place: Place, tmp_path: Path) -> None:
    """W-34 Ready, alive in time, and stopping, as sd_notify has it."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)
        with running(place, NOTIFY_SOCKET=address, WATCHDOG_USEC="300000") as agent:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", *[b"WATCHDOG=1"] * 2]
            assert agent.stop() == 0
        manager.settimeout(0)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(manager.recv(100))
        assert heard[-1] == b"STOPPING=1"


def test_a_corrupt_buffer_is_replaced_at_the_start(place: Place) -> None:
    """W-40 A buffer that is not a database any more is set aside, and everything is read again."""
    place.write(CHAT, line(1) * 10)
    place.sync()
    place.settings.sqlite_path.write_bytes(b"garbage" * 5000)
    with running(place) as agent:
        until(agent.has(10))
        until(agent.said("buffer_replaced"))
        add(place, CHAT, line(2))
        until(agent.has(11))
        assert agent.health()["status"] == "ok"
        assert "buffer_corrupt" not in agent.health()["errors"], (
            "an error of a start that went well"
        )
    assert list(place.settings.sqlite_path.parent.glob("buffer.db.corrupt-*"))


def test_a_buffer_that_turns_corrupt_is_replaced_while_running(place: Place) -> None:
    """W-40 Damage that a reader finds in the buffer is healed by the running agent."""
    for number in range(200):
        add(place, CHAT, line(number) * 10)
    path = place.settings.sqlite_path
    with running(place) as agent:
        until(agent.has(2000))
        before = place.query("select value from meta where key = 'agent_id'")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")
        with path.open("r+b") as file:
            file.seek(8192 * 8)
            file.write(os.urandom(8192 * 4))
        path.with_name("buffer.db.suspect").touch()
        add(place, CHAT, line(1))
        until(agent.said("buffer_replaced"))
        until(lambda: agent.is_ready() and agent.has(2001)())
        add(place, CHAT, line(2))
        until(agent.has(2002))
        assert place.query("select value from meta where key = 'agent_id'") != before
        assert agent.stop() == 0
    assert_balanced(place.custody())


def test_a_false_suspicion_changes_nothing(place: Place) -> None:
    """W-40 A buffer under suspicion that proves to be sound is kept."""
    place.write(CHAT, line(1))
    with running(place) as agent:
        before = place.query("select value from meta where key = 'agent_id'")
        suspect = place.settings.sqlite_path.with_name("buffer.db.suspect")
        suspect.touch()
        add(place, CHAT, line(2))
        until(lambda: not suspect.exists())
        until(agent.has(2))
        assert place.query("select value from meta where key = 'agent_id'") == before


@pytest.mark.parametrize("is_restored", [False, True], ids=["deleted", "replaced by a copy"])
def test_a_buffer_that_is_taken_away_is_noticed(place: Place, *, is_restored: bool) -> None:
    """W-47 Nothing goes on being written to a file without a name; all is read into the new one."""
    path = place.settings.sqlite_path
    add(place, CHAT, line(1))
    place.sync()
    copy = path.read_bytes()
    with running(place) as agent:
        add(place, CHAT, line(2))
        until(agent.has(2))
        for file in path.parent.glob("buffer.db*"):
            if not file.name.endswith(".lock"):
                file.unlink()
        if is_restored:
            path.write_bytes(copy)
        add(place, CHAT, line(3))
        until(agent.said("deleted or replaced while it was in use"))
        until(lambda: path.exists() and agent.has(3)())
        (place.root / CHAT).unlink()
        assert agent.stop() == 0
    assert len(place.lines()) == 3


def test_a_full_disk_is_told_and_waited_for(tmp_path: Path) -> None:
    """W-41 On a full disk the agent says so, keeps trying, and goes on by itself with space."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        place = Place(tmp_path, sqlite_path=disk / "buffer.db")
        with running(place) as agent:
            padding = b'{"type":"user","x":"' + b"x" * 4000 + b'"}\n'
            add(place, CHAT, padding * 3000)
            until(agent.said("no space left"))
            until(lambda: agent.health()["status"] == "error")
            assert agent.get("/health")[0] == agent.get("/ready")[0] == 503
            add(place, "-b/1.jsonl", line(1))
            subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
            until(agent.has(3001))
            until(lambda: agent.health()["status"] == "ok")
            assert agent.stop() == 0
        assert len(place.lines()) == 3001
        assert_balanced(place.custody())


def test_another_programs_file_ends_the_start(place: Place) -> None:
    """W-42 What only a person can correct ends the agent with a message, not with a loop."""
    path = place.settings.sqlite_path
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table notes (text)")
    with running(place, ready=False) as agent:
        assert agent.process.wait(timeout=180) == 1
        assert "another program" in agent.told()
    with running(place, ready=False, IGNORE_PATTERNS="!") as agent:
        assert agent.process.wait(timeout=180) == 3


def test_a_log_file_that_cannot_be_written_ends_the_start(place: Place) -> None:
    """W-42 LOG_FILE is tried before anything is read, not at the first event."""
    with running(place, ready=False, LOG_FILE="/proc/nope/agent.log") as agent:
        assert agent.process.wait(timeout=180) == 3
        assert "LOG_FILE" in agent.told()


def test_a_log_file_that_is_taken_away_keeps_nothing_from_being_read(place: Place) -> None:
    """W-48 The log goes to standard error from then on, and reading goes on."""
    folder = place.settings.annals_home / "logs"
    with running(place, LOG_FILE=str(folder / "agent.log"), LOG_LEVEL="warning") as agent:
        shutil.rmtree(folder)
        folder.write_text("in the way")
        (place.root / "dangling.jsonl").symlink_to("nowhere")
        until(agent.said("log_file_refused"))
        add(place, CHAT, line(1))
        until(agent.has(1))
        assert agent.health()["status"] == "ok"
        assert agent.stop() == 0


def test_a_taken_port_does_not_keep_it_from_reading(place: Place) -> None:
    """W-43 Where HEALTH_PORT is taken the agent says so with the remedy, and reads all the same."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        with running(place, ready=False, HEALTH_PORT=port) as agent:
            until(agent.said("health_unavailable"))
            assert "set HEALTH_PORT" in agent.told()
            add(place, CHAT, line(1))
            until(lambda: place.settings.sqlite_path.exists() and agent.has(1)())
            assert agent.stop() == 0


def test_no_port_is_opened_where_none_is_wanted(place: Place) -> None:
    """W-43 HEALTH_PORT=0 opens none."""
    with running(place, ready=False, HEALTH_PORT="0") as agent:
        until(agent.said("end with Ctrl-C"))
        assert "http" not in agent.told()
        inodes = {f"socket:[{row.split()[9]}]" for row in _listening()}
        descriptors = Path(f"/proc/{agent.process.pid}/fd")
        assert inodes.isdisjoint(str(one.readlink()) for one in descriptors.iterdir())
        assert agent.stop() == 0


def _listening() -> list[str]:
    """Return the kernel's rows of TCP sockets that listen."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [row for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
    return [row for row in rows if row.split()[3] == "0A"]


def test_the_buffer_shrinks_while_the_agent_runs(place: Place) -> None:
    """W-44 What every consumer has is deleted in steps while reading goes on."""
    for file in range(20):
        add(place, f"-a/{file}.jsonl", line(file) * 300)
    with running(place, BUFFER_RETENTION_DAYS="0") as agent:
        until(agent.has(6000))
        with contextlib.closing(sqlite3.connect(place.settings.sqlite_path)) as connection:
            connection.execute("insert into consumers values ('lake', 5000, 1)")
            connection.commit()
        agent.stop()
    with running(place, BUFFER_RETENTION_DAYS="0") as agent:
        until(lambda: place.query("select min(seq) from records") == [(5001,)])
        add(place, CHAT, line(1))
        until(agent.has(1))
        assert agent.health()["synced"] == 5000
        until(lambda: agent.health()["pending"] == _newer(place, 5000))
        agent.stop()
    assert_balanced(place.custody())


def _newer(place: Place, seq: int) -> int:
    """Return how many records the buffer was given after ``seq``."""
    count: int = place.query("select max(seq) from records")[0][0] - seq
    return count


def test_pruning_is_done_in_the_steps_that_are_asked_for(place: Place) -> None:
    """W-44 One step deletes at most so many rows."""
    from sync_agent.buffer.store import open_buffer

    place.write(CHAT, line(1) * 50)
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("insert into consumers values ('lake', 40, 1)")
        done = [prune(buffer, retention_days=0, steps=1, rows=15).records for _ in range(4)]
    assert done == [15, 15, 10, 0]


def test_no_heavy_library_is_loaded(place: Place) -> None:
    """W-45 The running agent has mapped no library of lake or warehouse, and stays small."""
    with running(place) as agent:
        add(place, CHAT, line(1))
        until(agent.has(1))
        agent.get("/metrics")
        maps = Path(f"/proc/{agent.process.pid}/maps").read_text()
        heavy = ("duckdb", "pyiceberg", "pyarrow", "pandas", "numpy")
        assert [name for name in heavy if f"site-packages/{name}" in maps] == []
        resident = Path(f"/proc/{agent.process.pid}/status").read_text().split("VmRSS:")[1]
        assert int(resident.split()[0]) < 80 * 1024


def test_two_agents_with_buffers_of_their_own_read_the_same_files(tmp_path: Path) -> None:
    """W-46 Two agents on one folder both have every line, under the same ids."""
    one = Place(tmp_path)
    two = Place(tmp_path, sqlite_path=tmp_path / "other" / "buffer.db")
    shutil.rmtree(one.root)
    one.root.mkdir()
    with running(one) as first, running(two, HEALTH_PORT=str(free_port())) as second:
        for number in range(100):
            add(one, f"-a/{number % 5}.jsonl", line(number))
        until(first.has(100))
        until(second.has(100))
    assert sorted(entry.entry_id for entry in one.kept("entry")) == sorted(
        entry.entry_id for entry in two.kept("entry")
    )
