"""What a test asks for: "a Mongo", "a proxy in front of it"."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import running
from tests.servers.running import Mongo, Proxy, Server


@pytest.fixture(scope="session")
def ferretdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the one FerretDB of this session; most tests want ``mongo``."""
    server = running.ferretdb(tmp_path_factory.mktemp("ferretdb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the one Toxiproxy of this session; most tests want ``proxy``."""
    server = running.toxiproxy(tmp_path_factory.mktemp("toxiproxy"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mongo(ferretdb: Server) -> Iterator[Mongo]:
    """Return a MongoDB with a fresh database."""
    found = Mongo(ferretdb)
    yield found
    found.close()


@pytest.fixture
def own_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """Return a MongoDB of this test's own, which it may stop and start."""
    server = running.ferretdb(tmp_path_factory.mktemp("own-ferretdb"))
    server.start()
    found = Mongo(server)
    yield found
    found.close()
    server.stop()


@pytest.fixture
def proxy(toxiproxy: Server, mongo: Mongo) -> Iterator[Proxy]:
    """Return a proxy in front of ``mongo``."""
    found = Proxy(toxiproxy, mongo.server.port)
    yield found
    found.close()
