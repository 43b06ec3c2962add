"""The table of docs/resilience.md: each fault is injected into the real agent on a real server."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, start
from tests.resilience.custody import arrived, assert_arrived, ids_of, written
from tests.servers.running import Mongo, Proxy
from tests.sync_agent.places import CHAT, Place
from tests.sync_agent.running_agents import Agent, free_port, running, until
from tests.sync_agent.test_buffer import small_disk

BACKWARDS = """
import time
_now = time.time
_day = 86_400
def _jumping():
    return _now() - _day * (1 + int(time.monotonic() * 4) % 3)
time.time = _jumping
time.time_ns = lambda: int(_jumping() * 1e9)
"""


def lines(first: int, last: int) -> bytes:
    """Return numbered lines."""
    return b"".join(b'{"type":"user","n":%d}\n' % number for number in range(first, last))


def add(place: Place, name: str, data: bytes) -> None:
    """Append as a writer does."""
    path = place.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(data)


def place_of(folder: Path, mongo: Mongo, *, uri: str | None = None, **settings: Any) -> Place:
    """Return a place whose agent ships to ``mongo``."""
    return Place(folder, mongo_uri=uri or mongo.uri, mongo_db=mongo.name, **settings)


@contextlib.contextmanager
def shipping(place: Place, **settings: str) -> Iterator[Agent]:
    """Run the agent of a place, which ships."""
    assert place.settings.mongo_uri is not None
    server = {
        "MONGO_URI": place.settings.mongo_uri.get_secret_value(),
        "MONGO_DB": place.settings.mongo_db,
        "SYNC_INTERVAL_MS": "200",
    }
    with running(place, **(server | settings)) as agent:
        yield agent


def shipped(agent: Agent) -> bool:
    """Return whether nothing waits any more."""
    health = agent.health()
    return bool(health["mongoConnected"]) and health["pending"] == 0


@pytest.fixture
def place(tmp_path: Path, mongo: Mongo) -> Place:
    """Return an empty root whose agent ships to ``mongo``."""
    return place_of(tmp_path, mongo)


@pytest.fixture
def far_place(tmp_path: Path, mongo: Mongo, proxy: Proxy) -> Place:
    """Return an empty root whose agent ships to ``mongo`` over a network."""
    return place_of(tmp_path, mongo, uri=proxy.uri)


def test_mongodb_is_down(far_place: Place, mongo: Mongo, proxy: Proxy) -> None:
    """While the server is away everything is read and kept; then it is caught up with."""
    add(far_place, CHAT, lines(0, 20))
    proxy.cut()
    with shipping(far_place) as agent:
        add(far_place, "-b/2.jsonl", lines(20, 40))
        until(agent.has(40))
        until(lambda: agent.health()["mongoConnected"] is False)
        assert agent.health()["pending"] >= 40
        assert arrived(mongo) == set()
        proxy.mend()
        until(lambda: shipped(agent))
    assert_arrived(mongo, written(far_place.root), far_place)


def test_the_process_restarts(place: Place, mongo: Mongo) -> None:
    """Killed again and again, it goes on where it was: nothing is lost, nothing is twice."""
    for death in range(5):
        with shipping(place) as agent:
            add(place, CHAT, lines(death * 20, death * 20 + 10))
            until(agent.has(1))
            add(place, CHAT, lines(death * 20 + 10, death * 20 + 20))
            agent.process.kill()
            agent.process.wait()
    with shipping(place) as agent:
        until(lambda: shipped(agent))
        assert agent.stop() == 0
    assert_arrived(mongo, written(place.root), place)


def test_entries_come_twice(place: Place, mongo: Mongo, home: Path) -> None:
    """What is shipped again stands once, and its second positions are claimed."""
    add(place, CHAT, lines(0, 30))
    with shipping(place) as agent:
        until(lambda: len(arrived(mongo)) == 30)
        agent.stop()
    again = start(
        *("sync", "replay", "--json"),
        home=home,
        cwd=home,
        CLAUDE_DIR=str(place.root),
        SQLITE_PATH=str(place.settings.sqlite_path),
        ANNALS_HOME=str(place.settings.annals_home),
        MONGO_URI=mongo.uri,
        MONGO_DB=mongo.name,
    )
    assert again.code == 0, again.err
    with shipping(place) as agent:
        until(lambda: shipped(agent))
    assert mongo.database["claims"].count_documents({}) >= 30
    assert_arrived(mongo, written(place.root), place)


def test_a_batch_is_stored_in_part(place: Place, mongo: Mongo) -> None:
    """What the server has under an id of ours, but is not ours, is told; the rest goes on."""
    add(place, CHAT, lines(0, 9))
    (taken, *_) = sorted(ids_of(CHAT.partition("/")[2], lines(0, 9)))
    mongo.conversations.insert_one({"_id": taken, "who": "another program"})
    with shipping(place) as agent:
        until(lambda: shipped(agent))
        assert agent.health()["deadLetters"] == 1
    assert mongo.conversations.find_one({"_id": taken}) == {"_id": taken, "who": "another program"}
    assert arrived(mongo) == written(place.root) - {taken}
    ((reason,),) = place.query("select server_reason from dead_letters")
    assert "another program" in reason


def test_the_server_is_not_there_at_the_start(tmp_path: Path, own_mongo: Mongo) -> None:
    """The agent starts without its server, and ships when it is there."""
    own_mongo.server.stop()
    place = place_of(tmp_path, own_mongo)
    add(place, CHAT, lines(0, 20))
    with shipping(place) as agent:
        until(agent.has(20))
        own_mongo.server.start()
        until(lambda: shipped(agent))
    assert_arrived(own_mongo, written(place.root), place)


@pytest.mark.parametrize("toxic", ["limit_data", "reset_peer", "timeout"])
def test_the_connection_is_lost_while_running(
    far_place: Place, mongo: Mongo, proxy: Proxy, toxic: str
) -> None:
    """An answer that never comes is not a success: the batch is sent again, and stands once."""
    settings = {
        "limit_data": {"bytes": 40},
        "reset_peer": {"timeout": 100},
        "timeout": {"timeout": 300},
    }
    with shipping(far_place) as agent:
        add(far_place, CHAT, lines(0, 20))
        until(lambda: shipped(agent))
        proxy.spoil(toxic, **settings[toxic])
        for number in range(1, 6):
            add(far_place, CHAT, lines(number * 20, number * 20 + 20))
        until(agent.has(120))
        until(lambda: agent.health()["errors"])
        proxy.mend()
        until(lambda: shipped(agent))
    assert_arrived(mongo, written(far_place.root), far_place)


def test_the_server_is_slow(far_place: Place, mongo: Mongo, proxy: Proxy) -> None:
    """Reading does not wait for a server that takes a second for each answer."""
    proxy.spoil("latency", latency=1000)
    with shipping(far_place) as agent:
        for number in range(20):
            add(far_place, CHAT, lines(number * 5, number * 5 + 5))
        until(agent.has(100))
        assert arrived(mongo) != written(far_place.root), "the server was not slow enough"
        proxy.mend()
        until(lambda: shipped(agent))
    assert_arrived(mongo, written(far_place.root), far_place)


def test_the_machine_restarts(tmp_path: Path, own_mongo: Mongo) -> None:
    """Agent and server die at once in the middle of work; both come back, nothing is lost."""
    place = place_of(tmp_path, own_mongo)
    with shipping(place) as agent:
        add(place, CHAT, lines(0, 300))
        until(lambda: arrived(own_mongo))
        add(place, CHAT, lines(300, 400))
        agent.process.send_signal(signal.SIGKILL)
        own_mongo.server.stop()
        agent.process.wait()
    own_mongo.server.start()
    with shipping(place) as agent:
        until(lambda: shipped(agent))
    assert_arrived(own_mongo, written(place.root), place)


def test_the_disk_is_full(tmp_path: Path, mongo: Mongo) -> None:
    """With no space for the buffer the agent says so and waits; with space it goes on."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        place = place_of(tmp_path, mongo, sqlite_path=disk / "buffer.db")
        with shipping(place) as agent:
            padding = b"".join(
                b'{"type":"user","n":%d,"x":"%s"}\n' % (number, b"x" * 60_000)
                for number in range(150)
            )
            add(place, CHAT, padding)
            until(agent.said("no space left"))
            subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
            until(lambda: agent.health()["status"] == "ok")
            until(lambda: shipped(agent))
        assert_arrived(mongo, written(place.root), place)


def test_a_file_is_corrupt(place: Place, mongo: Mongo) -> None:
    """A damaged range arrives as what it is, and every whole line around it as an entry."""
    damaged = b'{"type":"user","n":\xff\xfe broken\n'
    add(place, CHAT, lines(0, 5) + damaged + lines(5, 10))
    with shipping(place) as agent:
        until(lambda: shipped(agent))
    expected = ids_of(CHAT.partition("/")[2], lines(0, 5) + damaged + lines(5, 10))
    wrong = expected - arrived(mongo)
    assert len(wrong) == 1
    (quarantined,) = mongo.conversations.find({"recordKind": "quarantine"})
    assert (quarantined["_id"], quarantined["byteLength"]) == (*wrong, len(damaged) - 1)
    assert_arrived(mongo, expected - wrong, place)


def test_the_buffer_is_corrupt(place: Place, mongo: Mongo) -> None:
    """A new buffer goes on under a new agent id; what both have stands once."""
    add(place, CHAT, lines(0, 2000))
    with shipping(place) as agent:
        until(lambda: shipped(agent))
        add(place, CHAT, lines(2000, 2100))
        agent.process.kill()
        agent.process.wait()
    path = place.settings.sqlite_path
    with contextlib.suppress(FileNotFoundError):
        path.with_name(path.name + "-wal").unlink()
    with path.open("r+b") as file:
        file.seek(3 * 8192)
        file.write(b"\xa5" * (path.stat().st_size - 3 * 8192))
    with shipping(place) as agent:
        until(lambda: shipped(agent))
    assert mongo.database["agents"].count_documents({}) == 2
    assert list(path.parent.glob("buffer.db.corrupt-*"))
    assert_arrived(mongo, written(place.root), place)


def _copy(place: Place, folder: Path) -> None:
    """Copy the buffer of a place, whose agent has ended, into a folder."""
    folder.mkdir(parents=True)
    for path in place.settings.sqlite_path.parent.glob("buffer.db*"):
        shutil.copy(path, folder)


def _put_back(place: Place, folder: Path) -> None:
    for path in place.settings.sqlite_path.parent.glob("buffer.db*"):
        path.unlink()
    for path in folder.iterdir():
        shutil.copy(path, place.settings.sqlite_path.parent)


def test_the_buffer_is_restored_from_an_old_copy(
    place: Place, mongo: Mongo, tmp_path: Path
) -> None:
    """The server knows more than the buffer: nothing new hides under numbers that were used."""
    for number in range(2):
        add(place, CHAT, lines(number * 10, number * 10 + 10))
        with shipping(place) as agent:
            until(lambda: shipped(agent))
            agent.stop()
        if number == 0:
            _copy(place, tmp_path / "old")
    _put_back(place, tmp_path / "old")
    add(place, "-b/new.jsonl", lines(100, 105))
    with shipping(place) as agent:
        until(lambda: len(arrived(mongo)) == 25)
        until(lambda: shipped(agent))
    assert_arrived(mongo, written(place.root), place)


def test_a_file_is_rotated(place: Place, mongo: Mongo) -> None:
    """The moved file is not read again, the new one under its name is read from its start."""
    add(place, CHAT, lines(0, 10))
    project, _, name = CHAT.partition("/")
    with shipping(place) as agent:
        until(lambda: shipped(agent))
        (place.root / "-moved").mkdir()
        (place.root / CHAT).rename(place.root / "-moved" / name)
        add(place, f"{project}/{name}", lines(50, 60))
        until(lambda: len(arrived(mongo)) == 20)
        until(lambda: shipped(agent))
    assert mongo.database["claims"].count_documents({}) == 0, "something was read twice"
    assert_arrived(mongo, written(place.root), place)


def test_a_file_is_deleted(place: Place, mongo: Mongo) -> None:
    """Its entries stay where they are, and that it is gone is noted."""
    add(place, CHAT, lines(0, 10))
    expected = written(place.root)
    with shipping(place) as agent:
        until(lambda: shipped(agent))
        (place.root / CHAT).unlink()
        gone = {"recordKind": "file", "type": "vanished"}
        until(lambda: mongo.conversations.count_documents(gone) == 1)
        until(lambda: shipped(agent))
    assert_arrived(mongo, expected, place)


def test_two_agents_read_one_folder(tmp_path: Path, mongo: Mongo) -> None:
    """Two agents that read the same files fill one collection; each entry stands once."""
    one = place_of(tmp_path, mongo)
    two = place_of(tmp_path, mongo, sqlite_path=tmp_path / "other" / "buffer.db")
    with shipping(one) as first, shipping(two, HEALTH_PORT=str(free_port())) as second:
        for number in range(10):
            add(one, f"-a/{number % 3}.jsonl", lines(number * 10, number * 10 + 10))
        until(first.has(100))
        until(second.has(100))
        until(lambda: shipped(first) and shipped(second))
    assert mongo.database["agents"].count_documents({}) == 2
    assert mongo.database["claims"].count_documents({}) >= 100
    assert_arrived(mongo, written(one.root), one)


def test_one_buffer_is_copied_to_two_machines(tmp_path: Path, mongo: Mongo) -> None:
    """Of two copies of a buffer that go on apart, one takes a new name; neither hides records."""
    one = place_of(tmp_path / "one", mongo)
    add(one, CHAT, lines(0, 10))
    with shipping(one) as agent:
        until(lambda: shipped(agent))
        agent.stop()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = place_of(tmp_path / "two", mongo)
    add(one, "-a/one.jsonl", lines(100, 110))
    add(two, "-b/two.jsonl", lines(200, 210))
    with shipping(one) as first, shipping(two, HEALTH_PORT=str(free_port())) as second:
        until(lambda: len(arrived(mongo)) == 30)
        add(one, "-a/one.jsonl", lines(110, 120))
        add(two, "-b/two.jsonl", lines(210, 220))
        until(lambda: len(arrived(mongo)) == 50)
        until(lambda: shipped(first) and shipped(second))
    assert mongo.database["agents"].count_documents({}) == 2
    assert_arrived(mongo, written(one.root) | written(two.root), one)


def test_the_clock_changes(place: Place, mongo: Mongo, tmp_path: Path) -> None:
    """A clock that jumps back by days, all the time, changes dates and nothing else."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(BACKWARDS)
    with shipping(place, PYTHONPATH=f"{tmp_path / 'clock'}:{ROOT}") as agent:
        for number in range(10):
            add(place, CHAT, lines(number * 10, number * 10 + 10))
        until(agent.has(100))
        until(lambda: shipped(agent))
        assert agent.stop() == 0
    with shipping(place) as agent:
        add(place, CHAT, lines(100, 110))
        until(lambda: len(arrived(mongo)) == 110)
    assert_arrived(mongo, written(place.root), place)
