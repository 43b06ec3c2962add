"""What a test asks for: "a Mongo", "a proxy in front of it"."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import lakes, running
from tests.servers.lakes import FarLake
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


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the one MinIO of this session, with a bucket; most tests want ``far_lake``."""
    server = lakes.minio(tmp_path_factory.mktemp("minio"))
    server.start()
    lakes.objects(server).create_dir(lakes.BUCKET)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rest_catalog(tmp_path_factory: pytest.TempPathFactory, minio: Server) -> Iterator[Server]:
    """Return the one catalog server of this session; most tests want ``far_lake``."""
    server = lakes.rest_catalog(tmp_path_factory.mktemp("restcatalog"), minio.port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def far_lake(rest_catalog: Server, minio: Server) -> FarLake:
    """Return a place for a lake in an object store, with a catalog server."""
    return FarLake(rest_catalog, minio)


@pytest.fixture
def own_far_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarLake]:
    """Return a place whose servers are this test's own, which it may stop and start."""
    folder = tmp_path_factory.mktemp("own-far-lake")
    store = lakes.minio(folder)
    store.start()
    lakes.objects(store).create_dir(lakes.BUCKET)
    catalog = lakes.rest_catalog(folder, store.port)
    catalog.start()
    yield FarLake(catalog, store)
    catalog.stop()
    store.stop()
