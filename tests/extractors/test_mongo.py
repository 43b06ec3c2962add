"""From MongoDB to the lake (docs/specs/shipping.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import DependencyError, SettingsError, SourceGapError
from annals.records import entry_id
from annals.settings import load_settings
from extractors.extract import extract
from extractors.lake import open_lake
from extractors.mongo import TOKEN, MongoSource
from tests.extractors.lakes import ids, positions
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent that ships; its settings name a lake of this test's own."""
    found = Agent(tmp_path / "sync" / "buffer.db", mongo, annals_home=tmp_path / "annals")
    yield found
    found.close()


def _object(size: int) -> bytes:
    return b'{"x":"' + b"x" * size + b'"}'


def test_what_every_agent_shipped_comes_into_the_lake(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-24 Records of all agents are appended; with nothing new there is no snapshot."""
    first = agent.buffer.append_entries(3)
    agent.ship()
    second = Agent(tmp_path / "second.db", mongo)
    other = second.buffer.append([b'{"n":"other"}'])
    second.ship()
    second.close()
    assert extract(agent.settings).entries_new == 4
    assert set(ids(agent.settings)) == {*first, *other}
    assert positions(agent.settings) == {agent.buffer.agent_id: 3, second.buffer.agent_id: 1}
    assert extract(agent.settings).snapshots_committed == 0
    with open_lake(agent.settings) as lake:
        assert set(lake.cursor().tokens.values()) == {TOKEN}


def test_an_answer_that_is_too_long_is_asked_for_in_parts(agent: Agent) -> None:
    """S-24 Many long lines come through, also from a server that knows no end of an answer."""
    lines = [b'{"n":%d,"x":"' % number + b"x" * 950_000 + b'"}' for number in range(60)]
    known = agent.buffer.append(lines)
    agent.ship()
    assert extract(agent.settings).entries_new == 60
    assert set(ids(agent.settings)) == set(known)


def test_a_lake_goes_on_from_the_buffer_to_a_server_and_back(agent: Agent) -> None:
    """S-24 Setting and unsetting MONGO_URI loses nothing and begins nothing again."""
    embedded = agent.settings.model_copy(update={"mongo_uri": None})
    known = agent.buffer.append_entries(3)
    assert extract(embedded).entries_new == 3
    agent.ship()
    assert extract(agent.settings).entries_new == 0
    later = agent.buffer.append([b'{"n":"later"}'])
    agent.ship()
    assert extract(agent.settings).entries_new == 1
    last = agent.buffer.append([b'{"n":"last"}'])
    extract(embedded)
    assert set(ids(agent.settings)) == {*known, *later, *last}


def test_a_late_insert_is_found_by_a_backfill(agent: Agent, mongo: Mongo) -> None:
    """S-25 A document below a committed position is appended by --full-backfill, once."""
    agent.buffer.append_entries(3)
    agent.ship()
    extract(agent.settings)
    before = positions(agent.settings)
    late = mongo.conversations.find_one({"seq": 2}) or {}
    new_id = entry_id(late["fileKey"].encode(), 1_000, late["raw"].encode()).hex()
    mongo.conversations.insert_one({**late, "byteOffset": 1_000, "_id": new_id})
    assert extract(agent.settings).entries_new == 0
    assert extract(agent.settings, full_backfill=True).entries_new == 1
    assert extract(agent.settings, full_backfill=True).snapshots_committed == 0
    assert ids(agent.settings)[new_id] == 1
    assert positions(agent.settings) == before


def test_a_gap_is_told_and_a_backfill_goes_on(agent: Agent, mongo: Mongo) -> None:
    """S-16 A lake without what the server never got is refused; a backfill is the way on."""
    agent.buffer.append_entries(3)
    agent.ship()
    mongo.database["agents"].update_one({}, {"$set": {"missingThrough": 2}})
    with pytest.raises(SourceGapError) as raised:
        extract(agent.settings)
    assert "--full-backfill" in raised.value.hint
    assert extract(agent.settings, full_backfill=True).entries_new == 1


def test_equal_numbers_are_never_parted(agent: Agent, mongo: Mongo) -> None:
    """S-26 Two documents under one position come in one batch."""
    agent.buffer.append([_object(9_000_000), _object(9_000_000)])
    agent.ship()
    second = mongo.conversations.find_one({"seq": 2}) or {}
    mongo.conversations.insert_one({**second, "_id": "f" * 32})
    with contextlib.closing(MongoSource(agent.settings)) as source:
        batches = list(source.read(agent.buffer.agent_id, after=0, through=2))
    assert [[record.seq for record in batch] for batch in batches] == [[1], [2, 2]]


def test_a_claim_without_its_document_is_quarantined(agent: Agent, mongo: Mongo) -> None:
    """S-29 A document that was deleted although a position is claimed on it is named; exit 6."""
    for _ in range(2):
        agent.buffer.offset = 0
        agent.buffer.append([b"{}"])
    agent.ship()
    mongo.conversations.delete_many({})
    report = extract(agent.settings)
    assert report.records_refused == 1
    assert "gone from MongoDB" in report.refusals[0]


def test_errors_of_the_server_are_told_in_our_words(tmp_path: Path) -> None:
    """S-19, S-20 A wrong URI is exit 3, a server that does not answer exit 4."""
    with pytest.raises(SettingsError):
        MongoSource(load_settings(mongo_uri="mongodb://host:port"))
    with pytest.raises(SettingsError, match="MONGO_DB"):
        MongoSource(load_settings(mongo_uri="mongodb://host", mongo_db="a b"))
    uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50"
    with contextlib.closing(MongoSource(load_settings(mongo_uri=uri))) as source:
        with pytest.raises(DependencyError):
            source.committed()
        with pytest.raises(DependencyError):
            list(source.read("a", after=0, through=1))
