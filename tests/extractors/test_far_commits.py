"""Commits to a lake on a catalog server whose answer is not what happened to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import DependencyError
from annals.settings import Settings
from extractors.extract import extract
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids, positions, rows
from tests.servers import gateways
from tests.servers.gateways import Gateway, Manner, Request
from tests.servers.lakes import FarLake


@pytest.fixture
def gateway(far_lake: FarLake) -> Iterator[Gateway]:
    """Return a gateway in front of the catalog server."""
    with gateways.gateway(far_lake.catalog.port) as found:
        yield found


@pytest.fixture
def far(far_lake: FarLake, tmp_path: Path, buffer: Buffer, gateway: Gateway) -> Settings:
    """Return settings for a lake behind the gateway, with one committed record and nine waiting."""
    settings = far_lake.settings(
        tmp_path,
        sqlite_path=buffer.path,
        iceberg_catalog_uri=f"http://127.0.0.1:{gateway.port}",
    )
    buffer.append_entries(1)
    extract(settings)
    buffer.append_entries(9)
    return settings


@pytest.mark.parametrize("manner", [gateways.committed_and_refused, gateways.repeated])
def test_a_refused_commit_that_happened(
    far: Settings, gateway: Gateway, buffer: Buffer, manner: Manner
) -> None:
    """A commit that is answered with a conflict, but is in the table, counts and stays whole."""
    gateway.manners.append(manner)
    assert extract(far).entries_new == 9
    assert not gateway.manners
    assert rows(far).num_rows == 10
    assert extract(far).records_read == 0
    buffer.append_entries(1)
    assert extract(far).entries_new == 1
    assert set(ids(far).values()) == {1}
    assert positions(far) == {buffer.agent_id: 11}


def test_a_refused_commit_that_another_built_on(
    far: Settings, gateway: Gateway, buffer: Buffer
) -> None:
    """Where the table has gone on from a commit that was refused, its files stay nevertheless."""

    def late(request: Request) -> gateways.Answer:
        request.send()
        buffer.append_entries(5)
        extract(far)
        return gateways.CONFLICT

    gateway.manners.append(late)
    extract(far)
    assert rows(far).num_rows == 15
    assert set(ids(far).values()) == {1}
    assert positions(far) == {buffer.agent_id: 15}


def test_a_refused_commit_that_never_happened(
    far: Settings, gateway: Gateway, buffer: Buffer
) -> None:
    """A commit that is refused and is not in the table is made once more, at once."""
    gateway.manners.append(gateways.refused)
    extract(far)
    assert rows(far).num_rows == 10
    assert set(ids(far).values()) == {1}
    assert positions(far) == {buffer.agent_id: 10}


@pytest.mark.parametrize("answer", [None, gateways.CONFLICT], ids=["cut", "refused"])
def test_a_commit_that_is_still_under_way(
    far: Settings, gateway: Gateway, buffer: Buffer, answer: gateways.Answer | None
) -> None:
    """A commit that arrives after its failure was reported finds its files, and doubles nothing."""
    held: list[Request] = []

    def hold(request: Request) -> gateways.Answer | None:
        held.append(request)
        return answer

    def down(_: Request) -> None:
        return None

    gateway.manners += [hold, down]
    with pytest.raises(DependencyError):
        extract(far)
    assert held[0].send()[0] == 200
    gateway.manners.clear()
    assert extract(far).records_read == 0
    assert rows(far).num_rows == 10
    assert set(ids(far).values()) == {1}


def test_a_refused_commit_of_which_nothing_is_known(far: Settings, gateway: Gateway) -> None:
    """Where the server cannot be asked what became of a commit, nothing of it is deleted."""

    def gone(request: Request) -> gateways.Answer:
        request.send()
        gateway.is_down = True
        return gateways.CONFLICT

    gateway.manners.append(gone)
    with pytest.raises(DependencyError):
        extract(far)
    gateway.is_down = False
    assert extract(far).records_read == 0
    assert rows(far).num_rows == 10
