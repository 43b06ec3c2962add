"""What arrives at the server, and what becomes of what does not (docs/specs/shipping.md)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import WriteConcern
from pymongo.read_concern import ReadConcern

from annals.buffer.faults import damaged
from annals.errors import DependencyError, LockedError, SettingsError, UsageError
from annals.locks import exclusive
from annals.settings import load_settings
from sync_agent.agent.once import LIVE_ROLE
from sync_agent.agent.shipment import ship_once
from sync_agent.buffer.salvage import replace_damaged
from sync_agent.buffer.store import open_buffer
from sync_agent.shipping.mongo import Position, Remote
from sync_agent.shipping.mongo_collections import INDEXES
from sync_agent.shipping.shipper import Shipper
from sync_agent.upkeep.quarantine import retry
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent, reachable, reachable_ids

MIB = 1024 * 1024


def noise(size: int) -> bytes:
    """Return bytes that cannot be compressed and are not text."""
    return random.Random(size).randbytes(size)  # noqa: S311 -- no secret


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent with an empty buffer."""
    found = Agent(tmp_path / "buffer.db", mongo)
    yield found
    found.close()


def test_what_is_shipped_can_be_read(agent: Agent) -> None:
    """S-01 Every record arrives under its own id and position, and the buffer knows it."""
    ids = agent.buffer.append_entries(5)
    agent.ship()
    ((agent_id, records),) = reachable(agent.settings).items()
    assert agent_id == agent.buffer.agent_id
    assert [record.entry_id for record in records] == ids
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert agent.acknowledged() == 5


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b'{"text":"stra\xc3\x9fe"}', None),
        (b"\x00\xff\xfe no text", "binary"),
        (b'{"a":"' + b"x" * (2 * MIB) + b'"}', "zstd"),
        (b"", None),
    ],
)
def test_bytes_come_back_as_they_were(
    raw: bytes, encoding: str | None, agent: Agent, mongo: Mongo
) -> None:
    """S-02 Text is stored as text, large values compressed, anything else as binary."""
    (entry_id,) = agent.buffer.append([raw])
    agent.ship()
    stored = mongo.conversations.find_one({"_id": entry_id})
    assert stored is not None
    assert stored.get("rawEncoding") == encoding
    (records,) = reachable(agent.settings).values()
    assert [record.raw for record in records] == [raw]


def test_what_no_document_can_hold_is_stored_apart(agent: Agent, mongo: Mongo) -> None:
    """S-02 More than 15 MiB of compressed bytes lie in GridFS, once, and come back."""
    raw = noise(16 * MIB)
    agent.buffer.append([raw, b"after"])
    agent.ship()
    (records,) = reachable(agent.settings).values()
    assert [record.raw for record in records] == [raw, b"after"]
    assert mongo.database["raw.files"].count_documents({}) == 1


def test_what_was_stored_apart_in_vain_is_deleted(
    agent: Agent, mongo: Mongo, tmp_path: Path
) -> None:
    """S-02 Where another agent's document is there already, this one's file is not kept."""
    raw = noise(16 * MIB)
    agent.buffer.append([raw])
    agent.ship()
    second = Agent(tmp_path / "second.db", mongo)
    second.buffer.append([raw])
    second.ship()
    second.close()
    assert mongo.database["raw.files"].count_documents({}) == 1
    assert [record.raw for records in reachable(agent.settings).values() for record in records] == [
        raw,
        raw,
    ]


def test_a_document_that_is_too_large_is_not_sent(agent: Agent) -> None:
    """S-03 One that no server takes becomes a dead letter, and the others of its batch arrive."""
    cwd = "x" * (17 * MIB)
    large = agent.buffer.append([b'{"cwd":"%s"}' % cwd.encode()], cwd=cwd)
    small = agent.buffer.append([b"2"])
    agent.ship()
    assert set(agent.dead()) == set(large)
    assert reachable_ids(agent.settings) == set(small)
    assert agent.acknowledged() == 2


def test_a_batch_is_bounded_by_count_and_bytes(tmp_path: Path, mongo: Mongo) -> None:
    """S-04 BATCH_SIZE is a maximum, and so are 8 MiB, unless one record is larger."""
    agent = Agent(tmp_path / "buffer.db", mongo, batch_size=3)
    agent.buffer.append_entries(7)
    assert [delivered.records for delivered in agent.ship()] == [3, 3, 1]
    agent.buffer.append([b"%d" % number * (3 * MIB) for number in range(3)])
    agent.buffer.append([b"x" * (9 * MIB), b"after"])
    assert [delivered.records for delivered in agent.ship()] == [2, 1, 1, 1]
    agent.close()


def test_everything_is_written_and_read_for_good(agent: Agent) -> None:
    """S-05 Collections are written with w: majority and j: true, and read with majority concern."""
    remote = agent.shipper._remote
    assert remote is not None
    for collection in (remote._conversations, remote._agents, remote._claims):
        assert collection.write_concern == WriteConcern(w="majority", j=True)
        assert collection.read_concern == ReadConcern("majority")
        assert collection.read_preference.name == "Primary"


def test_a_document_never_changes_its_owner(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-06 The second agent with the same entry claims it: both positions lead to it."""
    ids = agent.buffer.append_entries(3)
    agent.ship()
    second = Agent(tmp_path / "second.db", mongo)
    own = second.buffer.append([b"own"])
    second.buffer.offset = 0
    second.buffer.append_entries(3)
    (delivered,) = second.ship()
    second.close()
    assert delivered.claimed == 3
    owners = {one["agentId"] for one in mongo.conversations.find({"_id": {"$in": ids}})}
    assert owners == {agent.buffer.agent_id}
    found = reachable(agent.settings)[second.buffer.agent_id]
    assert [record.entry_id for record in found] == [*own, *ids]
    assert [record.seq for record in found] == [1, 2, 3, 4]


def test_a_copy_within_one_buffer_is_claimed_too(agent: Agent) -> None:
    """S-06 An entry read twice stands at its first number, and is claimed at the others."""
    for _ in range(3):
        agent.buffer.offset = 0
        agent.buffer.append([b"same"])
    (delivered,) = agent.ship()
    assert delivered.claimed == 2
    (records,) = reachable(agent.settings).values()
    assert [record.seq for record in records] == [1, 2, 3]


def test_a_refused_document_is_kept_and_told(agent: Agent, mongo: Mongo) -> None:
    """S-07 What the server refuses becomes a dead letter with its reason; the rest goes on."""
    mongo.conversations.create_index("uuid", unique=True)
    mongo.conversations.insert_one({"_id": "somebody's", "uuid": "taken"})
    before = agent.buffer.append([b"1"], uuid="a")
    refused = agent.buffer.append([b"2"], uuid="taken")
    after = agent.buffer.append([b"3"], uuid="c")
    (delivered,) = agent.ship()
    assert (delivered.records, delivered.refused) == (3, 1)
    assert set(agent.dead()) == set(refused)
    assert "duplicate key" in agent.dead()[refused[0]]
    assert agent.held() == {*before, *after}
    assert reachable_ids(agent.settings) == {*before, *after}
    assert agent.shipper.status().dead_letters == 1


def test_a_dead_letter_can_be_tried_again(agent: Agent, mongo: Mongo) -> None:
    """S-07 A retried dead letter gets a new number and arrives once nothing stands against it."""
    mongo.conversations.create_index("uuid", unique=True)
    mongo.conversations.insert_one({"_id": "somebody's", "uuid": "taken"})
    ids = agent.buffer.append([b"1"], uuid="taken")
    agent.ship()
    mongo.conversations.delete_one({"_id": "somebody's"})
    with open_buffer(agent.buffer.path) as buffer:
        with pytest.raises(UsageError, match="d7"):
            retry(buffer, agent.settings, ["d7"])
        assert [one.name for one in retry(buffer, agent.settings, ["d1"])] == ["d1"]
    agent.ship()
    assert agent.dead() == {}
    (records,) = reachable(agent.settings).values()
    assert [(record.seq, record.entry_id) for record in records] == [(2, ids[0])]


def test_documents_of_others_are_never_touched(agent: Agent, mongo: Mongo) -> None:
    """S-10 What other programs keep in the collections stays as it is and is not extracted."""
    ids = agent.buffer.append_entries(2)
    others = [{"_id": ids[0], "x": 1}, {"_id": 7, "sessionId": "s"}, {"_id": "y", "agentId": 3}]
    mongo.conversations.insert_many(others)
    agent.ship()
    assert (
        list(mongo.conversations.find({"_id": {"$in": [one["_id"] for one in others]}})) == others
    )
    assert reachable_ids(agent.settings) == {ids[1]}
    assert set(agent.dead()) == {ids[0]}


class Lagging(Remote):
    """A server whose majority does not have yet what its primary has."""

    lags = True

    def positions(self, entry_ids: object, *, majority: bool = True) -> dict[str, Position]:
        """Find nothing that the majority has."""
        found = super().positions(entry_ids, majority=majority)  # type: ignore[arg-type]
        return {} if self.lags and majority else found


def test_a_duplicate_that_may_vanish_is_waited_for(agent: Agent, tmp_path: Path) -> None:
    """S-11 A document that only the primary has is neither a success nor a refusal yet."""
    ids = agent.buffer.append_entries(2)
    agent.ship()
    copied = agent.buffer.copy(tmp_path / "copy.db")
    copied.execute("update consumers set acknowledged = 0")
    copied.execute("delete from incarnations")
    settings = agent.settings.model_copy(update={"sqlite_path": copied.path})
    remote = Lagging(settings)
    shipper = Shipper(settings, remote=remote)
    with pytest.raises(DependencyError, match="majority"):
        shipper.step()
    assert copied.execute("select count(*) from dead_letters") == [(0,)]
    remote.lags = False
    assert shipper.step().claimed == 2
    shipper.close()
    assert len(reachable(settings)) == 2
    assert reachable_ids(settings) == set(ids)


def test_indexes_are_made_once(agent: Agent, mongo: Mongo) -> None:
    """S-21 Every start finds or makes the indexes; what is there already is left alone."""
    for _ in range(2):
        agent.shipper.step()
        agent.restart()
    for name, wanted in INDEXES.items():
        present = [tuple(one["key"]) for one in mongo.database[name].index_information().values()]
        assert sorted(present) == sorted([*wanted, (("_id", 1),)])


def test_without_indexes_it_works_and_says_so(agent: Agent, mongo: Mongo) -> None:
    """S-21 Where an index cannot be made, records are shipped all the same, with a note."""
    mongo.conversations.create_index("other", name="agentId_1_seq_1")
    ids = agent.buffer.append_entries(2)
    report = ship_once(agent.settings)
    assert report.records_shipped == 2
    assert any("indexes of conversations" in warning for warning in report.warnings)
    assert reachable_ids(agent.settings) == set(ids)


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("http://me:hunter22@host/", "begin with"),
        ("mongodb://me:hunt@er22@host/", "must be escaped"),
        ("mongodb://me:hunter22@host:port/", "[Pp]ort"),
        ("mongodb://me:hunter22@host/?tlsss=true", "tlsss"),
        ("mongodb://me:hunter22@host/?maxPoolSize=many", "maxpoolsize"),
        ("mongodb://", "host"),
    ],
)
def test_a_wrong_uri_is_named_without_its_password(uri: str, what: str, tmp_path: Path) -> None:
    """S-19 What is wrong with MONGO_URI is exit 3 at once, and no secret of it is shown."""
    settings = load_settings(sqlite_path=tmp_path / "buffer.db", mongo_uri=uri)
    with pytest.raises(SettingsError, match=what) as raised:
        Shipper(settings)
    assert raised.value.exit_code == 3
    shown = f"{raised.value.as_dict()} {raised.value.__cause__}"
    assert "hunter22" not in shown
    assert "er22" not in shown


def test_a_name_that_no_database_has_is_refused(tmp_path: Path) -> None:
    """S-19 A wrong MONGO_DB is exit 3."""
    settings = load_settings(
        sqlite_path=tmp_path / "b.db", mongo_uri="mongodb://host/", mongo_db="a b"
    )
    with pytest.raises(SettingsError, match="MONGO_DB"):
        Shipper(settings)


def test_a_server_that_is_not_there_is_exit_4(tmp_path: Path, mongo: Mongo) -> None:
    """S-20 Nobody listens: DependencyError, and the password is not shown."""
    uri = "mongodb://me:hunter22@127.0.0.1:1/?serverSelectionTimeoutMS=100"
    agent = Agent(tmp_path / "buffer.db", mongo, uri=uri)
    agent.buffer.append_entries(1)
    with pytest.raises(DependencyError) as raised:
        ship_once(agent.settings)
    agent.close()
    assert raised.value.exit_code == 4
    assert "hunter22" not in str(raised.value.as_dict())
    assert agent.acknowledged() == 0


def test_a_name_that_is_not_found_is_exit_4(tmp_path: Path) -> None:
    """S-20 A name that cannot be looked up may be found later: it is not a wrong URI."""
    uri = "mongodb+srv://me:hunter22@cluster.invalid/"
    remote = Remote(load_settings(sqlite_path=tmp_path / "buffer.db", mongo_uri=uri))
    with pytest.raises(DependencyError) as raised:
        remote.agent("anybody")
    remote.close()
    assert "hunter22" not in str(raised.value.as_dict())


def test_dead_letters_survive_a_corrupt_buffer(agent: Agent, mongo: Mongo, tmp_path: Path) -> None:
    """S-23 Salvage makes records of dead letters again: the server may take them by now."""
    mongo.conversations.create_index("uuid", unique=True)
    mongo.conversations.insert_one({"_id": "somebody's", "uuid": "taken"})
    kept = agent.buffer.append([b"1"], uuid="a")
    refused = agent.buffer.append([b"2"], uuid="taken")
    agent.ship()
    agent.close()
    replace_damaged(agent.buffer.path, damaged(agent.buffer.path, "a test says so"))
    assert agent.held() == {*kept, *refused}
    assert agent.dead() == {}


@pytest.mark.parametrize("role", [LIVE_ROLE, "sync once"])
def test_shipping_is_left_to_a_live_agent(agent: Agent, role: str) -> None:
    """S-27 Where a live agent holds the buffer it ships; any other holder is exit 7."""
    agent.buffer.append_entries(1)
    with exclusive(agent.settings.buffer_lock, role=role, what="the buffer"):
        if role == LIVE_ROLE:
            report = ship_once(agent.settings)
            assert report.records_shipped == 0
            assert LIVE_ROLE in str(report.left_to)
        else:
            with pytest.raises(LockedError):
                ship_once(agent.settings)
    assert agent.acknowledged() == 0
    assert ship_once(agent.settings).records_shipped == 1


def test_a_copy_that_ships_once_finds_its_new_name(agent: Agent, tmp_path: Path) -> None:
    """S-14, S-27 A single shipping goes on by itself where the buffer turns out to be a copy."""
    agent.buffer.append_entries(1)
    agent.ship()
    agent.restart()
    copied = agent.buffer.copy(tmp_path / "copy.db")
    for _ in range(2):
        agent.shipper.step()
        agent.restart()
    ids = copied.append([b"of the copy"])
    settings = agent.settings.model_copy(update={"sqlite_path": copied.path})
    assert ship_once(settings).records_shipped == 1
    assert set(ids) <= reachable_ids(settings)
    assert copied.agent_id != agent.buffer.agent_id
