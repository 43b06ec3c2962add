"""What a server acknowledged and lost is shipped again, or named: never passed in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.records.seq_ranges import (
    count_ranges,
    flat_ranges,
    join_ranges,
    ranges_from,
    ranges_of,
    show_ranges,
    subtract_ranges,
)
from annals.settings import Settings
from extractors.lake import open_lake
from flows import stages
from flows.extraction import restore_lost
from flows.validation.promises import validate
from operations.doctor import stores
from sync_agent.shipping.mongo_collections import create_missing, deletion_rules
from sync_agent.shipping.restoring import restore_documents
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids, positions
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent

Loss = Callable[[Mongo], object]
SEQS = st.sets(st.integers(1, 40))


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent that shipped 12 records; its settings name a lake of this test's own."""
    found = Agent(
        tmp_path / "sync" / "buffer.db",
        mongo,
        annals_home=tmp_path / "annals",
        claude_dir=tmp_path / "projects",
    )
    (tmp_path / "projects").mkdir()
    found.buffer.append_entries(12)
    found.ship()
    yield found
    found.close()


def _elsewhere(agent: Agent, tmp_path: Path) -> Settings:
    """Return the settings of a machine that has the lake and no buffer."""
    return agent.settings.model_copy(update={"sqlite_path": tmp_path / "none" / "buffer.db"})


def _missing(settings: Settings) -> dict[str, tuple[tuple[int, int], ...]]:
    with open_lake(settings) as lake:
        return dict(lake.cursor().missing)


def _delete(*seqs: int) -> Loss:
    return lambda mongo: mongo.conversations.delete_many({"seq": {"$in": list(seqs)}})


LOSSES: dict[str, Loss] = {
    "one": _delete(5),
    "the first": _delete(1),
    "the last": _delete(12),
    "some": _delete(2, 3, 9),
    "all documents": lambda mongo: mongo.conversations.delete_many({}),
    "the collection": lambda mongo: mongo.conversations.drop(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_the_server_lost_is_shipped_again(agent: Agent, mongo: Mongo, loss: str) -> None:
    """S-29 Whatever documents are gone before extraction, the buffer that has them sends them."""
    LOSSES[loss](mongo)
    lost = 12 - len(mongo.ids())
    report = stages.extract(agent.settings)
    assert (report.entries_new, report.missing, report.reshipped) == (12, (), lost)
    assert len(ids(agent.settings)) == 12
    assert len(mongo.ids()) == 12


@pytest.mark.parametrize("loss", LOSSES)
def test_what_nobody_here_can_ship_is_named(
    agent: Agent, mongo: Mongo, tmp_path: Path, loss: str
) -> None:
    """S-30 Without the buffer the loss is named with agent, count and command, and noted."""
    settings = _elsewhere(agent, tmp_path)
    LOSSES[loss](mongo)
    there = len(mongo.ids())
    (sentence,) = stages.extract(settings).missing
    assert f"{12 - there} records of agent {agent.buffer.agent_id}" in sentence
    assert "annals sync replay" in sentence
    assert positions(settings) == {agent.buffer.agent_id: 12}
    assert count_ranges(_missing(settings)[agent.buffer.agent_id]) == 12 - there
    assert stages.extract(settings).missing
    assert restore_lost(agent.settings, gives_up=True) == 12 - there
    report = stages.extract(settings)
    assert (report.entries_new, report.missing) == (12 - there, ())
    assert (len(ids(settings)), _missing(settings)) == (12, {})
    assert stages.extract(settings).snapshots_committed == 0


def test_a_lost_collection_of_agents_is_named(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-30 Without the agents nothing can be read, which is said; the agent ships all again."""
    settings = _elsewhere(agent, tmp_path)
    mongo.database["agents"].drop()
    (sentence,) = stages.extract(settings).missing
    assert "annals sync flush" in sentence
    agent.restart()
    agent.ship()
    assert stages.extract(settings).missing == ()
    assert len(ids(settings)) == 12


@pytest.mark.parametrize(
    "change", [{"$unset": {"committedSeq": 1}}, {"$set": {"committedSeq": "9"}}]
)
def test_an_agent_that_the_server_forgot_is_named(
    agent: Agent, mongo: Mongo, tmp_path: Path, change: dict[str, Any]
) -> None:
    """S-30 Documents of one agent of several are not passed over if its own document is bad."""
    settings = _elsewhere(agent, tmp_path)
    other = Agent(tmp_path / "other" / "buffer.db", mongo)
    other.buffer.offset = 10_000  # other records than the first agent's
    other.buffer.append_entries(5)
    other.ship()
    name = other.buffer.agent_id
    assert mongo.database["agents"].update_one({"_id": name}, change).modified_count == 1
    (sentence,) = stages.extract(settings).missing
    assert name in sentence
    assert "annals sync flush" in sentence
    other.close()


def test_a_database_older_than_the_lake_is_named(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-30 A dump brought back over a newer database is named until the agent has caught up."""
    settings = _elsewhere(agent, tmp_path)
    stages.extract(settings)
    mongo.conversations.delete_many({"seq": {"$gt": 7}})
    mongo.database["agents"].update_many({}, {"$set": {"committedSeq": 7}})
    (sentence,) = stages.extract(settings).missing
    assert "up to seq 7, the lake has 12" in sentence
    agent.restart()
    agent.ship()
    assert stages.extract(settings).missing == ()
    assert len(ids(settings)) == 12


def test_positions_without_documents_are_no_loss(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-29 Dead letters and numbers that nobody used are noted by the shipper, not missed."""
    mongo.conversations.create_index([("seq", 1)], unique=True)
    mongo.conversations.insert_one({"_id": "foreign", "seq": 14})
    agent.buffer.append_entries(3)
    agent.ship()
    assert len(agent.dead()) == 1
    report = stages.extract(_elsewhere(agent, tmp_path))
    assert (report.entries_new, report.missing) == (14, ())


def test_an_agent_of_an_older_version_is_no_false_alarm(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-29 Without the agent's note nothing is compared; its next start notes what it knows."""
    mongo.database["agents"].update_many({}, {"$unset": {"absent": 1}})
    mongo.conversations.delete_many({"seq": 4})
    assert stages.extract(_elsewhere(agent, tmp_path)).missing == ()
    agent.restart()
    agent.ship()
    assert mongo.database["agents"].find_one()["absent"] == []  # type: ignore[index]


def test_a_backfill_goes_on_without(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-30 `extract --full-backfill` accepts the loss: it is named once more and not noted."""
    settings = _elsewhere(agent, tmp_path)
    mongo.conversations.delete_many({"seq": 4})
    assert stages.extract(settings).missing
    assert stages.extract(settings, full_backfill=True).missing
    assert stages.extract(settings).missing == ()


def test_a_copy_of_the_buffer_restores_nothing(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-29 A buffer that another copy has overtaken sends nothing under its old name."""
    copied = tmp_path / "copy" / "buffer.db"
    copied.parent.mkdir()
    agent.buffer.execute("pragma wal_checkpoint(truncate)")
    shutil.copy(agent.buffer.path, copied)
    for _ in range(3):
        agent.restart()
        agent.ship()
        agent.shipper.step()
    mongo.conversations.delete_many({"seq": 4})
    copy = agent.settings.model_copy(update={"sqlite_path": copied})
    assert restore_documents(copy, Buffer(copied).agent_id, ((4, 4),)) == 0


@dataclass(frozen=True, slots=True)
class Described:
    """A collection as a server describes it."""

    indexes: dict[str, Any]
    settings: dict[str, Any]
    name: str = "conversations"
    created: list[Any] = field(default_factory=list)

    def index_information(self) -> dict[str, Any]:
        """Return its indexes by name."""
        return self.indexes

    def options(self) -> dict[str, Any]:
        """Return what it was made with."""
        return self.settings

    def create_index(self, keys: list[Any]) -> None:
        """Note an index that is asked for."""
        self.created.append(tuple(keys))


EXPIRING = {"ours": {"key": [("ingestedAt", 1)], "expireAfterSeconds": 60}}


@pytest.mark.parametrize(
    ("indexes", "options", "told"),
    [
        ({}, {}, []),
        (EXPIRING, {}, ["60 seconds"]),
        ({}, {"capped": True}, ["capped"]),
        (EXPIRING, {"capped": True}, ["60 seconds", "capped"]),
    ],
)
def test_what_deletes_documents_is_found(
    indexes: dict[str, Any], options: dict[str, Any], told: list[str]
) -> None:
    """An index that expires and a limit of size delete documents; neither counts as ours."""
    collection: Any = Described(indexes, options)
    found = deletion_rules(collection)
    assert len(found) == len(told)
    assert all(word in sentence for word, sentence in zip(told, found, strict=True))
    create_missing(collection)
    assert (("ingestedAt", 1),) in collection.created


def test_doctor_asks_what_deletes_documents(agent: Agent) -> None:
    """A server whose collections keep everything is one row of doctor, and a good one."""
    assert [str(one.verdict) for one in stores.mongo(agent.settings)] == ["ok"]


def test_an_empty_lake_that_should_have_records_is_a_failure(agent: Agent) -> None:
    """`validate` over a lake without records fails where the server acknowledged some."""
    report = validate(agent.settings)
    (lake,) = (check for check in report.checks if check.name == "stock")
    assert "annals pipeline" in lake.faults[0]
    assert report.exit_code == 9


@given(SEQS, SEQS)
def test_ranges_are_sets(left: set[int], right: set[int]) -> None:
    """Ranges join, subtract and count as the sets of numbers that they stand for."""
    one, other = ranges_of(sorted(left)), ranges_of(sorted(right))
    assert count_ranges(one) == len(left)
    assert join_ranges((*one, *other)) == ranges_of(sorted(left | right))
    assert subtract_ranges(one, other) == ranges_of(sorted(left - right))
    assert ranges_from(flat_ranges(one)) == one
    assert show_ranges(one).count(",") <= 4
