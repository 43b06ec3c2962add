"""What every source of records has to do (docs/specs/positions.md).

A backend takes part by a class with the methods of ``Backend`` and a line in ``BACKENDS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest

from annals.errors import SourceGapError
from annals.records import Record
from annals.settings import load_settings
from extractors.local import LocalSource
from extractors.mongo import MongoSource
from extractors.source import BATCH_BYTES, BATCH_RECORDS, Source
from sync_agent.agent.shipment import ship_once
from tests.extractors.buffers import Buffer

MIB = 1024 * 1024
CONSUMER = "a-lake"


class Backend(Protocol):
    """A source and the means to fill it from outside."""

    source: Source
    agent_id: str

    def put(self, raws: Sequence[bytes], **fields: object) -> list[str]:
        """Append records under the next seqs and return their ids in hex."""

    def prune(self) -> bool:
        """Delete what every consumer has acknowledged; False where this backend never prunes."""


class LocalBackend:
    """The local buffer."""

    def __init__(self, folder: Path, _request: pytest.FixtureRequest) -> None:
        self.buffer = Buffer(folder / "buffer.db")
        self.source: Source = LocalSource(self.buffer.path)
        self.agent_id = self.buffer.agent_id

    def put(self, raws: Sequence[bytes], **fields: object) -> list[str]:
        """Append to the buffer."""
        return self.buffer.append(raws, **fields)

    def prune(self) -> bool:
        """Prune the buffer."""
        self.buffer.prune()
        return True


class MongoBackend:
    """A server, filled by the agent's own shipper."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        mongo = request.getfixturevalue("mongo")
        self.buffer = Buffer(folder / "buffer.db")
        self.settings = load_settings(
            sqlite_path=self.buffer.path, mongo_uri=mongo.uri, mongo_db=mongo.name
        )
        source = MongoSource(self.settings)
        request.addfinalizer(source.close)
        self.source: Source = source
        self.agent_id = self.buffer.agent_id

    def put(self, raws: Sequence[bytes], **fields: object) -> list[str]:
        """Append to the buffer and ship it."""
        ids = self.buffer.append(raws, **fields)
        ship_once(self.settings)
        return ids

    def prune(self) -> bool:
        """Forget nothing, as a server does."""
        return False


BACKENDS = {"local": LocalBackend, "mongo": MongoBackend}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Return each backend in turn, empty."""
    return BACKENDS[request.param](tmp_path, request)


def read(backend: Backend, after: int, through: int) -> list[Record]:
    """Return all records in ``(after, through]``."""
    batches = backend.source.read(backend.agent_id, after=after, through=through)
    return [record for batch in batches for record in batch]


def lines(count: int, size: int = 20) -> list[bytes]:
    """Return lines of ``size`` bytes, each unlike the others."""
    return [b"%0*d" % (size, number) for number in range(count)]


def test_a_new_source_has_committed_nothing(backend: Backend) -> None:
    """P-01: an agent that gave no seq stands at 0, and there is nothing to read."""
    assert backend.source.committed().get(backend.agent_id, 0) == 0
    assert read(backend, 0, 0) == []


def test_committed_is_the_last_seq(backend: Backend) -> None:
    """P-01: committed() tells the highest seq that is durably here."""
    backend.put(lines(7))
    assert backend.source.committed() == {backend.agent_id: 7}


def test_read_returns_what_was_put(backend: Backend) -> None:
    """P-01: the records come back in order, with their ids and exact bytes."""
    raws = [b'{"a":1}', b'{"b":"\xc3\xa9"}', b"\x00\xff broken"]
    ids = backend.put(raws)
    records = read(backend, 0, 3)
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.raw for record in records] == raws
    assert [record.entry_id for record in records] == ids


def test_every_field_comes_back(backend: Backend) -> None:
    """P-01: the envelope comes back as it was put, and booleans are booleans."""
    fields = {
        "record_kind": "quarantine",
        "session_id": "s",
        "type": "assistant",
        "uuid": "u",
        "parent_uuid": "p",
        "timestamp": "2025-01-01T00:00:00Z",
        "request_id": "r",
        "version": "1.2.3",
        "cwd": "/srv/straße",
        "git_branch": "b",
        "reason": "not_json",
        "ingested_at": 123,
    }
    backend.put([b"1"], is_sidechain=1, **fields)
    backend.put([b"2"], is_sidechain=0)
    backend.put([b"3"], is_sidechain=None, session_id=None)
    first, second, third = read(backend, 0, 3)
    assert {name: getattr(first, name) for name in fields} == fields
    assert (first.is_sidechain, second.is_sidechain, third.is_sidechain) == (True, False, None)
    assert third.session_id is None
    assert (first.byte_length, first.file_generation) == (1, 0)


@pytest.mark.parametrize(("after", "through"), [(0, 0), (0, 1), (3, 3), (2, 5), (9, 10), (0, 10)])
def test_read_is_half_open(backend: Backend, after: int, through: int) -> None:
    """P-01: ``after`` is not part of what is read, ``through`` is."""
    backend.put(lines(10))
    seqs = [record.seq for record in read(backend, after, through)]
    assert seqs == list(range(after + 1, through + 1))


def test_read_stops_where_the_records_end(backend: Backend) -> None:
    """P-01: a ``through`` above the last seq is not an error."""
    backend.put(lines(3))
    assert [record.seq for record in read(backend, 1, 99)] == [2, 3]


def test_later_records_stay_out(backend: Backend) -> None:
    """P-01: what is put while a read is under way does not get into it."""
    backend.put(lines(3))
    batches = backend.source.read(backend.agent_id, after=0, through=3)
    first = next(batches)
    backend.put([b"late"])
    rest = [record for batch in batches for record in batch]
    assert [record.seq for record in (*first, *rest)] == [1, 2, 3]


def test_batches_hold_few_records(backend: Backend) -> None:
    """P-02: a batch holds at most BATCH_RECORDS records, and none is empty."""
    backend.put(lines(BATCH_RECORDS + 1))
    batches = backend.source.read(backend.agent_id, after=0, through=BATCH_RECORDS + 1)
    sizes = [len(batch) for batch in batches]
    assert sum(sizes) == BATCH_RECORDS + 1
    assert len(sizes) > 1
    assert 0 < max(sizes) <= BATCH_RECORDS


def test_batches_hold_few_bytes(backend: Backend) -> None:
    """P-02: a batch holds at most BATCH_BYTES raw bytes unless it is one larger record."""
    backend.put([*lines(3, 6 * MIB), b"x" * (BATCH_BYTES + 1), b"after"])
    batches = list(backend.source.read(backend.agent_id, after=0, through=5))
    assert [record.seq for batch in batches for record in batch] == [1, 2, 3, 4, 5]
    sizes = [sum(len(record.raw) for record in batch) for batch in batches]
    assert all(
        size <= BATCH_BYTES or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True)
    )


def test_a_gap_is_never_skipped(backend: Backend) -> None:
    """P-03: reading what was pruned raises and says up to where it is gone."""
    backend.put(lines(5))
    backend.source.acknowledge(CONSUMER, {backend.agent_id: 3})
    if not backend.prune():
        pytest.skip("this backend never prunes")
    with pytest.raises(SourceGapError) as caught:
        read(backend, 2, 5)
    assert caught.value.context["pruned_through"] == 3
    assert caught.value.exit_code == 9
    assert [record.seq for record in read(backend, 3, 5)] == [4, 5]


def test_committed_survives_pruning(backend: Backend) -> None:
    """P-04: committed() does not go down where all records were pruned."""
    backend.put(lines(5))
    backend.source.acknowledge(CONSUMER, {backend.agent_id: 5})
    backend.prune()
    assert backend.source.committed() == {backend.agent_id: 5}
    backend.put([b"next"])
    assert [record.seq for record in read(backend, 5, 6)] == [6]


def test_an_acknowledgement_never_goes_down(backend: Backend) -> None:
    """P-05: a lower position than one acknowledged before changes nothing."""
    backend.put(lines(5))
    for seq in (4, 2):
        backend.source.acknowledge(CONSUMER, {backend.agent_id: seq})
    if not backend.prune():
        pytest.skip("this backend never prunes")
    assert [record.seq for record in read(backend, 4, 5)] == [5]
    with pytest.raises(SourceGapError):
        read(backend, 3, 5)


def test_the_slowest_consumer_counts(backend: Backend) -> None:
    """P-05: what one consumer has not acknowledged stays, whatever the others say."""
    backend.put(lines(5))
    backend.source.acknowledge("fast", {backend.agent_id: 5})
    backend.source.acknowledge("slow", {backend.agent_id: 1})
    backend.prune()
    assert [record.seq for record in read(backend, 1, 5)] == [2, 3, 4, 5]


def test_unknown_agents_are_passed_over(backend: Backend) -> None:
    """P-05: acknowledging somebody else's positions changes nothing here."""
    backend.put(lines(2))
    backend.source.acknowledge(CONSUMER, {"somebody-else": 2})
    backend.prune()
    assert [record.seq for record in read(backend, 0, 2)] == [1, 2]
