"""When what was inserted is covered and acknowledged, and what waits (docs/specs/shipping.md)."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_agent.buffer.pruning import SHIPPER
from sync_agent.shipping.outbox import _WAITING
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent, reachable_ids
from tests.sync_agent.running_agents import until


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent with an empty buffer."""
    found = Agent(tmp_path / "buffer.db", mongo)
    yield found
    found.close()


def test_what_comes_one_by_one_is_covered_together(agent: Agent, mongo: Mongo) -> None:
    """S-28 Inserted at once, out of an extractor's reach until one raise covers all of it."""
    ids = []
    for _ in range(3):
        ids += agent.buffer.append_entries(2)
        agent.shipper.step(linger=3600)
    assert mongo.ids() == set(ids)
    assert (agent.acknowledged(), reachable_ids(agent.settings)) == (0, set())
    assert agent.shipper.status().pending == 6
    agent.shipper.step()
    assert (agent.acknowledged(), reachable_ids(agent.settings)) == (6, set(ids))
    assert agent.shipper.status().pending == 0


def test_a_death_before_the_cover_costs_nothing(agent: Agent) -> None:
    """S-28, S-09 What was not covered is sent again and found to be there already."""
    ids = agent.buffer.append_entries(2)
    agent.shipper.step(linger=3600)
    agent.restart()
    ids += agent.buffer.append_entries(2)
    (delivered,) = agent.ship()
    assert (delivered.records, delivered.claimed, delivered.refused) == (4, 0, 0)
    assert (agent.acknowledged(), reachable_ids(agent.settings)) == (4, set(ids))


def test_what_waits_for_its_cover_gets_it_by_itself(agent: Agent) -> None:
    """S-28 Nothing has to follow: a line that came alone is acknowledged a moment later."""
    ids = agent.buffer.append_entries(1)
    stop, wake = threading.Event(), threading.Event()
    shipping = threading.Thread(target=agent.shipper.run, args=(stop, wake))
    shipping.start()
    try:
        until(lambda: agent.acknowledged() == 1)
    finally:
        stop.set()
        shipping.join()
    assert reachable_ids(agent.settings) == set(ids)


def test_what_waits_is_known_without_a_look_at_each_record(agent: Agent) -> None:
    """S-18 However much waits for a server that is away, to tell it takes the same work."""
    steps = []
    for count in (10, 500):
        agent.buffer.append_entries(count)
        with contextlib.closing(sqlite3.connect(agent.buffer.path)) as connection:
            looks = itertools.count()
            connection.set_progress_handler(lambda looks=looks: next(looks) < 0, 10)
            connection.execute(_WAITING, (SHIPPER,)).fetchone()
            steps.append(next(looks))
    assert agent.shipper.status().pending == 510
    assert steps[1] <= steps[0] + 1
