"""The rows of the resilience table that are about MongoDB: each injects the fault for real."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annals.errors import DependencyError
from sync_agent.shipping.shipper import Shipper
from tests.servers.running import Mongo, Proxy
from tests.sync_agent.agents import Agent, reachable, reachable_ids

QUICK = "?serverSelectionTimeoutMS=500&connectTimeoutMS=500&socketTimeoutMS=1500"
PATIENCE_SECONDS = 240.0
MIB = 1024 * 1024


@contextlib.contextmanager
def at_work(agent: Agent) -> Iterator[Callable[[], None]]:
    """Let the shipper run in a thread of its own; give what wakes it."""
    stop, wake = threading.Event(), threading.Event()
    thread = threading.Thread(target=agent.shipper.run, args=(stop, wake))
    thread.start()
    try:
        yield wake.set
    finally:
        stop.set()
        wake.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        agent.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def ship_patiently(agent: Agent) -> None:
    """Ship until nothing is left; connections that broke before may fail once more."""
    assert agent.shipper.drain(time.monotonic() + PATIENCE_SECONDS) is True


def nothing_waits(agent: Agent) -> bool:
    """Tell whether everything is shipped."""
    return agent.shipper.status().pending == 0


@pytest.fixture
def far(tmp_path: Path, mongo: Mongo, proxy: Proxy) -> Iterator[Agent]:
    """Return an agent with the proxy between it and the server."""
    found = Agent(
        tmp_path / "buffer.db", mongo, uri=proxy.uri + QUICK, batch_size=50, sync_interval_ms=200
    )
    yield found
    found.close()


def test_mongodb_down_at_start(far: Agent, proxy: Proxy, mongo: Mongo) -> None:
    """S-18 The server is not there at start: records wait, the circuit opens, then all arrives."""
    proxy.cut()
    ids = far.buffer.append_entries(120)
    with at_work(far):
        wait_for(lambda: far.shipper.status().circuit == "open", "the circuit opens")
        status = far.shipper.status()
        assert status.connected is False
        assert status.pending == 120
        assert status.last_error
        assert sum(status.errors.values()) >= 1
        proxy.mend()
        wait_for(lambda: nothing_waits(far), "all arrives")
        status = far.shipper.status()
        assert (status.connected, status.circuit, status.last_error) == (True, "closed", None)
        assert status.shipped == 120
        assert status.last_ship_at
        assert status.average_ms > 0
    assert mongo.ids() == set(ids)


def test_mongodb_lost_while_running(far: Agent, proxy: Proxy, mongo: Mongo) -> None:
    """S-18 Connections are cut in the middle of batches: everything arrives, nothing twice."""
    ids = far.buffer.append_entries(300)
    with at_work(far) as wake:
        for _ in range(3):
            wait_for(lambda: far.shipper.status().shipped > 0, "something arrives")
            proxy.cut()
            ids += far.buffer.append_entries(50)
            wake()
            time.sleep(0.1)
            proxy.mend()
        wait_for(lambda: nothing_waits(far), "all arrives")
    assert mongo.ids() == set(ids)
    (records,) = reachable(far.settings).values()
    assert [record.seq for record in records] == list(range(1, len(ids) + 1))


def test_answers_that_get_lost(far: Agent, proxy: Proxy, mongo: Mongo) -> None:
    """S-09 The server does what is asked, and its answers never come: no second copy results."""
    ids = far.buffer.append_entries(100)
    far.shipper.step()
    proxy.spoil("limit_data", bytes=10)
    with pytest.raises(DependencyError):
        far.shipper.step()
    proxy.mend()
    ship_patiently(far)
    assert mongo.ids() == set(ids)
    (records,) = reachable(far.settings).values()
    assert [record.entry_id for record in records] == ids


def test_a_server_that_hangs(far: Agent, proxy: Proxy) -> None:
    """S-18 No answer at all ends after a time, and is not a reason to stop."""
    ids = far.buffer.append_entries(60)
    far.shipper.step()
    proxy.spoil("timeout", timeout=0)
    with pytest.raises(DependencyError):
        far.shipper.step()
    proxy.mend()
    ship_patiently(far)
    assert reachable_ids(far.settings) == set(ids)


def test_a_slow_network(tmp_path: Path, mongo: Mongo, proxy: Proxy) -> None:
    """S-04 A batch too large for the time given is halved until it passes, and grows again."""
    agent = Agent(tmp_path / "buffer.db", mongo, uri=proxy.uri + QUICK)
    ids = agent.buffer.append([b"%d" % (number % 10) * 200_000 for number in range(8)])
    agent.shipper._share = 1.0
    proxy.spoil("bandwidth", stream="upstream", rate=400)  # KiB a second: 1.6 MB take 4 s
    failures = 0
    while failures < 20:
        try:
            if not agent.shipper.step().records:
                break
        except DependencyError:
            failures += 1
    assert failures >= 1
    assert agent.shipper._share > 1 / 1024
    agent.close()
    assert reachable_ids(agent.settings) == set(ids)


def test_the_server_is_killed_and_comes_back(own_mongo: Mongo, tmp_path: Path) -> None:
    """S-05, S-18 What was acknowledged survives the server's sudden death."""
    agent = Agent(tmp_path / "buffer.db", own_mongo, uri=own_mongo.uri + QUICK, batch_size=20)
    ids = agent.buffer.append_entries(200)
    with at_work(agent):
        wait_for(lambda: agent.acknowledged() >= 40, "something arrives")
        own_mongo.server.stop()
        acknowledged = agent.acknowledged()
        ids += agent.buffer.append_entries(20)
        wait_for(lambda: agent.shipper.status().connected is False, "the loss is seen")
        own_mongo.server.start()
        assert reachable_ids(agent.settings) >= set(ids[: acknowledged - 20])
        wait_for(lambda: nothing_waits(agent), "all arrives")
    assert reachable_ids(agent.settings) == set(ids)


def test_duplicate_entries(tmp_path: Path, mongo: Mongo) -> None:
    """S-06 Two agents on one folder: each entry is one document, and both positions lead to it."""
    agents = [Agent(tmp_path / f"{number}.db", mongo, batch_size=7) for number in range(2)]
    ids = [agent.buffer.append_entries(60) for agent in agents]
    assert ids[0] == ids[1]
    with contextlib.ExitStack() as both:
        for agent in agents:
            both.enter_context(at_work(agent))
        wait_for(lambda: all(map(nothing_waits, agents)), "all arrives")
    assert mongo.conversations.count_documents({}) == 60
    for agent in agents:
        found = reachable(agent.settings)[agent.buffer.agent_id]
        assert [record.entry_id for record in found] == ids[0]


def test_partial_sync_failure(far: Agent, proxy: Proxy, mongo: Mongo) -> None:
    """S-07 Part of a batch is refused while connections reset: the rest arrives, none is lost."""
    mongo.conversations.create_index("uuid", unique=True, sparse=True)
    mongo.conversations.insert_one({"_id": "somebody's", "uuid": "taken"})
    good = far.buffer.append_entries(40)
    bad = far.buffer.append([b"bad"], uuid="taken")
    good += far.buffer.append_entries(40)
    far.buffer.execute("update records set uuid = seq where uuid is null")
    far.shipper.step()
    proxy.spoil("reset_peer", timeout=0)
    with pytest.raises(DependencyError):
        far.shipper.step()
    proxy.mend()
    ship_patiently(far)
    assert set(far.dead()) == set(bad)
    assert reachable_ids(far.settings) == set(good)


def test_buffer_restored_from_an_old_copy(tmp_path: Path, mongo: Mongo) -> None:
    """S-13, S-15 What was read after the copy was made is safe; what is read now arrives too."""
    agent = Agent(tmp_path / "buffer.db", mongo)
    before = agent.buffer.append_entries(5)
    agent.ship()
    copied = agent.buffer.copy(tmp_path / "copy.db")
    after = agent.buffer.append([b"after the copy"])
    agent.ship()
    agent.put_back(copied)
    again = agent.buffer.append([b"after the restore"])
    agent.ship()
    agent.close()
    assert reachable_ids(agent.settings) == {*before, *after, *again}


def test_one_buffer_copied_to_two_machines(tmp_path: Path, mongo: Mongo) -> None:
    """S-13, S-14 Both go on shipping at the same time, under two names, and nothing is lost."""
    first = Agent(tmp_path / "first.db", mongo, sync_interval_ms=50)
    ids = first.buffer.append_entries(20)
    first.ship()
    second = Agent(first.buffer.copy(tmp_path / "second.db").path, mongo, sync_interval_ms=50)
    with at_work(first) as wake_first, at_work(second) as wake_second:
        for number in range(5):
            ids += first.buffer.append([b"first %d" % number])
            ids += second.buffer.append([b"second %d" % number])
            wake_first()
            wake_second()
            wait_for(lambda: nothing_waits(first) and nothing_waits(second), "all arrives")
    assert first.buffer.agent_id != second.buffer.agent_id
    assert reachable_ids(first.settings) == set(ids)


def test_the_clock_changes(tmp_path: Path, mongo: Mongo) -> None:
    """S-09 Records from the past and the far future are shipped in the order of their numbers."""
    agent = Agent(tmp_path / "buffer.db", mongo)
    century = 100 * 365 * 86_400 * 1_000_000
    now = int(datetime.now(UTC).timestamp()) * 1_000_000
    times = [now, now - century, 0, now + century, now]
    ids = [agent.buffer.append([b"%d" % at], ingested_at=at)[0] for at in times]
    agent.ship()
    agent.close()
    (records,) = reachable(agent.settings).values()
    assert [record.entry_id for record in records] == ids
    assert [record.ingested_at for record in records] == times


def test_a_shutdown_ships_what_is_left(far: Agent, proxy: Proxy) -> None:
    """S-18 On a shutdown what is left is shipped within the deadline, and kept where not."""
    far.buffer.append_entries(120)
    assert far.shipper.drain(time.monotonic() + PATIENCE_SECONDS) is True
    far.buffer.append_entries(10)
    assert far.shipper.drain(time.monotonic() + PATIENCE_SECONDS) is True, "it opens again"
    proxy.cut()
    far.buffer.append_entries(1)
    started = time.monotonic()
    assert Shipper(far.settings).drain(started + 1.0) is False
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert far.acknowledged() == 130
