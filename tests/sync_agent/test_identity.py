"""Who a buffer is, as far as a server goes (docs/specs/shipping.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import ConflictError, LocalBufferError, SourceGapError
from extractors.mongo import MongoSource
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import open_buffer
from sync_agent.shipping.outbox import open_outbox
from tests.properties.interrupted import REMOTE, Crash
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent, reachable, reachable_ids


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent with an empty buffer."""
    found = Agent(tmp_path / "buffer.db", mongo)
    yield found
    found.close()


def incarnations(agent: Agent) -> list[str]:
    """Return the incarnations that the buffer knows, the newest last."""
    rows = agent.buffer.execute("select incarnation from incarnations order by number")
    return [incarnation for (incarnation,) in rows]


def known(agent: Agent, mongo: Mongo) -> dict[str, object]:
    """Return what the server knows of the agent."""
    return mongo.database["agents"].find_one({"_id": agent.buffer.agent_id}) or {}


def test_each_start_is_a_new_incarnation(agent: Agent, mongo: Mongo) -> None:
    """S-12 A start notes a fresh incarnation; the buffer keeps it and the one before."""
    seen = []
    for _ in range(3):
        agent.shipper.step()
        seen.append(known(agent, mongo)["incarnation"])
        assert incarnations(agent)[-1] == seen[-1]
        agent.restart()
    assert len(set(seen)) == 3
    assert incarnations(agent) == seen[-2:]


def test_a_start_that_dies_before_the_server_knows_is_no_copy(agent: Agent, mongo: Mongo) -> None:
    """S-12 However often a start dies in between, the buffer stays the agent that it is."""
    agent.buffer.append_entries(1)
    agent.ship()
    agent_id = agent.buffer.agent_id
    for _ in range(3):
        with agent.outbox() as outbox:
            outbox.note_incarnation(agent_id, remote=str(known(agent, mongo)["incarnation"]))
    agent.restart()
    agent.ship()
    assert agent.buffer.agent_id == agent_id


def test_a_copy_takes_a_name_of_its_own(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-13 One buffer on two machines: the copy that meets the other becomes another agent."""
    shared = agent.buffer.append_entries(3)
    agent.ship()
    copied = agent.buffer.copy(tmp_path / "copy.db")
    agent.restart()
    agent.shipper.step()
    second = Agent(copied.path, mongo)
    own = second.buffer.append([b"second's"])
    second.ship()
    first = agent.buffer.append([b"first's"])
    agent.ship()
    second.close()
    assert second.buffer.agent_id != agent.buffer.agent_id
    found = {
        agent_id: [record.entry_id for record in records]
        for agent_id, records in reachable(agent.settings).items()
    }
    assert found == {agent.buffer.agent_id: [*shared, *first], second.buffer.agent_id: own}


def test_a_copy_at_work_is_noticed_before_anything_is_acknowledged(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-14 Where another copy enrolled meanwhile, nothing is raised, and the name changes."""
    agent.buffer.append_entries(1)
    agent.ship()
    before = agent.buffer.agent_id
    second = Agent(agent.buffer.copy(tmp_path / "copy.db").path, mongo)
    second.shipper.step()
    ids = agent.buffer.append([b"a", b"b"])
    with pytest.raises(ConflictError):
        agent.shipper.step()
    assert known(agent, mongo)["committedSeq"] == 1
    agent.ship()
    second.close()
    assert agent.buffer.agent_id != before
    assert set(ids) <= reachable_ids(agent.settings)


def test_an_older_copy_gets_new_numbers(agent: Agent, tmp_path: Path) -> None:
    """S-15 What a restored buffer gives again stands above everything that was committed before."""
    first = agent.buffer.append_entries(2)
    copied = agent.buffer.copy(tmp_path / "copy.db")
    later = agent.buffer.append([b"x", b"y", b"z"])
    agent.shipper.step()
    agent_id = agent.buffer.agent_id
    with open_buffer(copied.path):
        pass
    copied.execute("insert into incarnations (incarnation) values (?)", incarnations(agent)[-1])
    agent.put_back(copied)
    other = agent.buffer.append([b"q"])
    agent.ship()
    assert agent.buffer.agent_id == agent_id
    found = [(record.seq, record.entry_id) for record in reachable(agent.settings)[agent_id]]
    assert found[:5] == list(enumerate([*first, *later], start=1))
    assert found[5:] == [(6, first[0]), (7, first[1]), (8, other[0])]
    more = agent.buffer.append([b"more"])
    agent.ship()
    assert reachable(agent.settings)[agent_id][-1][:2] == (9, more[0])


def test_numbers_above_what_is_committed_stay(agent: Agent, mongo: Mongo) -> None:
    """S-15 After a death between raise and acknowledgement only that batch is sent again."""
    agent.buffer.append_entries(4)
    agent.shipper.step()
    agent.buffer.execute("update consumers set acknowledged = 2 where name = 'mongodb'")
    agent.buffer.append([b"waits"])
    agent.restart()
    agent.ship()
    rows = agent.buffer.execute("select seq from records order by seq")
    assert [seq for (seq,) in rows] == [1, 2, 5, 6, 7]
    assert agent.acknowledged() == 7


def test_another_server_gets_what_is_still_here(agent: Agent, mongo: Mongo) -> None:
    """S-16 Where the server does not know this agent any more, all that is held is sent again."""
    ids = agent.buffer.append_entries(3)
    agent.ship()
    for name in ("conversations", "agents", "claims"):
        mongo.database.drop_collection(name)
    agent.restart()
    agent.ship()
    (records,) = reachable(agent.settings).values()
    assert [record.entry_id for record in records] == ids


def test_a_server_that_went_back_gets_what_it_lost(agent: Agent, mongo: Mongo) -> None:
    """S-16 Where a server was restored from a backup, what it lost is sent again."""
    ids = agent.buffer.append_entries(3)
    agent.ship()
    mongo.conversations.delete_many({"seq": {"$gt": 1}})
    mongo.database["agents"].update_one({}, {"$set": {"committedSeq": 1}})
    agent.restart()
    agent.ship()
    assert reachable_ids(agent.settings) == set(ids)


def test_what_was_pruned_before_is_a_gap(agent: Agent, mongo: Mongo) -> None:
    """S-16 What another server never got, because it was pruned, is exit 9 for a reader."""
    agent.buffer.append_entries(3)
    agent.ship()
    with open_buffer(agent.buffer.path) as buffer:
        prune(buffer, retention_days=0, ships=True)
    mongo.database.drop_collection("conversations")
    mongo.database.drop_collection("agents")
    later = agent.buffer.append([b"later"])
    agent.restart()
    agent.ship()
    agent_id = agent.buffer.agent_id
    with contextlib.closing(MongoSource(agent.settings)) as source:
        with pytest.raises(SourceGapError) as raised:
            list(source.read(agent_id, after=2, through=4))
        assert raised.value.exit_code == 9
        assert raised.value.context["pruned_through"] == 3
        (batch,) = source.read(agent_id, after=3, through=4)
    assert [record.entry_id for record in batch] == later


def test_what_embedded_pruned_is_a_gap_for_the_server(agent: Agent) -> None:
    """S-16, S-22 Records that were pruned while MONGO_URI was not set are a gap, not a silence."""
    agent.buffer.append_entries(4)
    agent.buffer.execute("insert into consumers values ('some-lake', 3, 0)")
    agent.buffer.prune()
    agent.ship()
    with (
        contextlib.closing(MongoSource(agent.settings)) as source,
        pytest.raises(SourceGapError),
    ):
        list(source.read(agent.buffer.agent_id, after=0, through=4))


def test_only_those_who_are_at_work_hold_records_back(agent: Agent) -> None:
    """S-22 With a server pruning waits for the shipper alone, without one for the lakes alone."""
    agent.buffer.append_entries(4)
    agent.buffer.execute("insert into consumers values ('some-lake', 1, 0), ('mongodb', 3, 0)")
    with open_buffer(agent.buffer.path) as buffer:
        assert prune(buffer, retention_days=0).pruned_through == 1
        assert prune(buffer, retention_days=0, ships=True).pruned_through == 3


def test_a_file_put_in_place_is_noticed(agent: Agent, tmp_path: Path) -> None:
    """S-17 Another file at the path is another buffer: nothing goes on under the old one's name."""
    copied = agent.buffer.copy(tmp_path / "copy.db")
    agent.buffer.append_entries(2)
    agent.ship()
    copied.execute("update meta set value = 'another' where key = 'agent_id'")
    copied.append([b"of another buffer"])
    copied.path.replace(agent.buffer.path)
    for suffix in ("-wal", "-shm"):
        Path(f"{agent.buffer.path}{suffix}").unlink(missing_ok=True)
    agent.ship()
    assert len(reachable(agent.settings)["another"]) == 1


def test_an_acknowledgement_of_another_buffer_is_refused(agent: Agent) -> None:
    """S-17 Neither another agent's name nor an unknown incarnation can acknowledge."""
    agent.buffer.append_entries(1)
    agent.ship()
    with agent.outbox() as outbox:
        with pytest.raises(ConflictError):
            outbox.acknowledge("another", incarnations(agent)[-1], 1)
        with pytest.raises(ConflictError):
            outbox.acknowledge(agent.buffer.agent_id, "unknown", 1)


def test_without_a_buffer_there_is_nothing_to_ship(tmp_path: Path) -> None:
    """S-17 Shipping makes no buffer where there is none."""
    with pytest.raises(LocalBufferError, match="no buffer"), open_outbox(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()


class Dying:
    """Steps of which each one is the last in turn, before or after it is done."""

    def __init__(self) -> None:
        self.left = -1
        self.after = False

    def wrap(self, thing: object, names: tuple[str, ...]) -> None:
        """Let the methods of a thing count down."""
        for name in names:
            method = getattr(thing, name)

            def step(*arguments: object, _method: object = method, **named: object) -> object:
                self.left -= 1
                if self.left == -1 and not self.after:
                    raise Crash
                answer = _method(*arguments, **named)  # type: ignore[operator]
                if self.left == -1:
                    raise Crash
                return answer

            object.__setattr__(thing, name, step)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_nothing_is_lost(after: bool, tmp_path: Path, mongo: Mongo) -> None:
    """S-08, S-09 A process that dies before or after any step of the protocol loses nothing."""
    dying = Dying()
    agent = Agent(tmp_path / "buffer.db", mongo)
    agent.buffer.append_entries(2)
    ids = set()
    for at in range(12):
        ids |= set(agent.buffer.append([b"%d-%d" % (at, after)]))
        agent.restart()
        dying.left, dying.after = at, after
        dying.wrap(agent.shipper._remote, REMOTE)
        with contextlib.suppress(Crash):
            agent.shipper.step()
        dying.left = 10**6
        assert agent.acknowledged() <= max(
            [0, *(one["committedSeq"] for one in mongo.database["agents"].find())]
        )
        agent.restart()
        agent.ship()
        assert ids <= reachable_ids(agent.settings)
    agent.close()
