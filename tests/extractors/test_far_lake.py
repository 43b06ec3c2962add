"""The lake on a catalog server and in an object store, both real, and what may happen to them."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.rest.response import ErrorResponse

from annals.errors import (
    AnalyticsError,
    ConflictError,
    DependencyError,
    LakeError,
    SettingsError,
    Terminal,
    Transient,
)
from annals.lake import waiting
from annals.records import Record
from annals.settings import Settings
from annals.settings.passing import as_environment
from extractors.extract import extract
from extractors.lake import open_lake
from tests.conftest import ROOT, clean_environment
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import commit, ids, positions
from tests.servers import lakes as servers
from tests.servers.lakes import FarLake
from tests.servers.running import Proxy, Server, free_port

POINTS = [
    ("extractors.lake.table", "write_parquet", "after"),
    ("extractors.lake", "Lake.commit", "before"),
    ("pyiceberg.table.update.snapshot", "write_manifest_list", "after"),
    ("pyiceberg.catalog.rest", "RestCatalog.commit_table", "before"),
    ("pyiceberg.catalog.rest", "RestCatalog.commit_table", "after"),
    ("extractors.local", "LocalSource.acknowledge", "after"),
]

DIE = """
import sys
from annals.settings import load_settings
from extractors.extract import extract
from tests.extractors.test_crashes import die_at
die_at(*sys.argv[1:])
extract(load_settings())
"""


@pytest.fixture
def far(far_lake: FarLake, tmp_path: Path, buffer: Buffer) -> Settings:
    """Return settings for a lake in an object store, with ten records waiting for it."""
    buffer.append_entries(10)
    return far_lake.settings(tmp_path, sqlite_path=buffer.path)


@pytest.fixture
def far_proxy(toxiproxy: Server, far_lake: FarLake) -> Iterator[Proxy]:
    """Return a bad network in front of the catalog server."""
    found = Proxy(toxiproxy, far_lake.catalog.port)
    yield found
    found.close()


def through(far: Settings, proxy: Proxy) -> Settings:
    """Return the same settings, with the catalog behind the proxy."""
    return Settings(**{**far.model_dump(), "iceberg_catalog_uri": f"http://127.0.0.1:{proxy.port}"})


def everything(buffer: Buffer) -> Counter[str]:
    """Return each id that was ever in the buffer, once."""
    return Counter(row[0].hex() for row in buffer.execute("select entry_id from records"))


def texts(error: AnalyticsError) -> str:
    """Return all that an error says, its causes included."""
    return json.dumps([error.as_dict(), repr(error.__cause__)])


def test_the_rows_are_in_the_object_store(far: Settings, far_lake: FarLake, buffer: Buffer) -> None:
    """An extraction puts data and cursor into the bucket, and nothing into a local folder."""
    assert extract(far).entries_new == 10
    assert extract(far).records_read == 0
    buffer.append_entries(5)
    assert extract(far).entries_new == 5
    assert ids(far) == everything(buffer)
    assert positions(far) == {buffer.agent_id: 15}
    with open_lake(far) as lake:
        info = lake.info()
    assert info.location == f"s3://{servers.BUCKET}/warehouse/{far_lake.namespace}/conversations"
    assert sum(far_lake.files(".parquet").values()) == info.bytes
    assert not far.lake_folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "when"), POINTS, ids=[f"{n} {w}" for _, n, w in POINTS])
def test_a_killed_extraction_is_made_good(
    far: Settings, buffer: Buffer, module: str, name: str, when: str, tmp_path: Path
) -> None:
    """Wherever an extraction is killed, the next one leads to each record once."""
    with open_lake(far, create=True):
        pass
    died = subprocess.run(
        [sys.executable, "-c", DIE, module, name, when],
        cwd=ROOT,
        env=clean_environment(tmp_path, **as_environment(far)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -9, died.stderr
    extract(far)
    assert ids(far) == everything(buffer)
    assert positions(far) == {buffer.agent_id: 10}
    assert extract(far).records_read == 0


def test_of_two_writers_the_second_computes_again(far: Settings, records: list[Record]) -> None:
    """A commit on what is no longer the newest snapshot is refused and leaves no file behind."""
    with open_lake(far, create=True) as first, open_lake(far) as second:
        commit(first, records, 10)
        with pytest.raises(ConflictError) as caught:
            commit(second, records, 7)
    assert isinstance(caught.value, Transient)
    assert positions(far) == {"a": 10}
    assert set(ids(far).values()) == {1}


def test_writers_at_the_same_time_double_nothing(
    far: Settings, far_lake: FarLake, buffer: Buffer
) -> None:
    """However many extract at once, each record is in the lake once, and no file is left over."""
    start, ends = threading.Barrier(3), list[str]()

    def run() -> None:
        start.wait()
        try:
            extract(far)
            ends.append("done")
        except (ConflictError, DependencyError) as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in ends
    assert len(ends) == 3
    extract(far)
    assert ids(far) == everything(buffer)
    assert len(far_lake.files(".parquet")) == 1


@pytest.mark.parametrize("is_first", [True, False], ids=["making the table", "later"])
def test_a_catalog_that_is_down(far: Settings, is_first: bool) -> None:
    """A server that does not answer is transient; the setting is named, its password is not."""
    if not is_first:
        extract(far)
    uri = f"http://ada:open-sesame@127.0.0.1:{free_port()}"
    away = Settings(**{**far.model_dump(), "iceberg_catalog_uri": uri})
    with pytest.raises(DependencyError) as caught:
        extract(away)
    assert isinstance(caught.value, Transient)
    assert caught.value.exit_code == 4
    assert "ICEBERG_CATALOG_URI" in caught.value.hint
    assert "http://***@127.0.0.1" in caught.value.message
    assert "open-sesame" not in texts(caught.value)


def test_an_object_store_that_is_down(
    own_far_lake: FarLake, buffer: Buffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the object store nothing is lost and nothing acknowledged; with it all arrives."""
    buffer.append_entries(10)
    settings = own_far_lake.settings(tmp_path, sqlite_path=buffer.path)
    extract(settings)
    buffer.append_entries(5)
    own_far_lake.store.stop()
    with monkeypatch.context() as changed:
        changed.setattr(waiting, "ANSWER_SECONDS", 2.0)  # the catalog server tries for minutes
        with pytest.raises(DependencyError) as caught:
            extract(settings)
    assert isinstance(caught.value, Transient)
    own_far_lake.store.start()
    until(lambda: _can(lambda: extract(settings)))
    assert ids(settings) == everything(buffer)
    assert positions(settings) == {buffer.agent_id: 15}


def test_an_object_store_that_only_the_catalog_reaches(far: Settings, buffer: Buffer) -> None:
    """A wrong address of the object store is transient, and named."""
    elsewhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DependencyError) as caught:
        extract(Settings(**{**far.model_dump(), "s3_endpoint": elsewhere}))
    assert "S3_ENDPOINT" in caught.value.hint
    extract(far)
    assert ids(far) == everything(buffer)


@pytest.mark.parametrize(
    "wrong", [{"aws_secret_access_key": "open-sesame"}, {"aws_access_key_id": "open-sesame"}]
)
def test_wrong_keys(far: Settings, buffer: Buffer, wrong: dict[str, str]) -> None:
    """Keys that the object store refuses are a person's to correct, and are named, not shown."""
    with pytest.raises(SettingsError) as caught:
        extract(Settings(**{**far.model_dump(), **wrong}))
    assert isinstance(caught.value, Terminal)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.hint
    assert "open-sesame" not in texts(caught.value)
    extract(far)
    assert ids(far) == everything(buffer)


def test_no_keys(far: Settings) -> None:
    """Where the lake is in an object store and no keys are set, the settings are named."""
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID"):
        extract(Settings(**{**far.model_dump(), "aws_access_key_id": None}))


def test_a_bucket_that_is_missing(minio: Server, buffer: Buffer, tmp_path: Path) -> None:
    """A bucket that does not exist is said so, with what to do about it."""
    buffer.append_entries(1)
    catalog = servers.rest_catalog(tmp_path / "catalog", minio.port, bucket="nowhere")
    catalog.start()
    try:
        with pytest.raises(SettingsError, match="bucket") as caught:
            extract(FarLake(catalog, minio).settings(tmp_path, sqlite_path=buffer.path))
    finally:
        catalog.stop()
    assert "Make it in the object store" in caught.value.hint


def test_a_commit_whose_answer_is_lost(
    far: Settings, far_proxy: Proxy, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that dies after the commit was sent leads to an error now, and to no doubles."""
    real = RestCatalog.commit_table
    cut: list[str] = []

    def commit_table(self: RestCatalog, *args: Any, **options: Any) -> Any:
        if not cut:
            cut.append("once")
            far_proxy.spoil("limit_data", bytes=1)
        return real(self, *args, **options)

    monkeypatch.setattr(RestCatalog, "commit_table", commit_table)
    with pytest.raises(DependencyError):
        extract(through(far, far_proxy))
    assert cut
    until(lambda: bool(ids(far)))  # the server commits, although nobody hears of it
    far_proxy.mend()
    assert extract(through(far, far_proxy)).records_read == 0
    assert ids(far) == everything(buffer)
    assert positions(far) == {buffer.agent_id: 10}


def test_a_commit_whose_answer_cannot_be_read(
    far: Settings, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a proxy made of the answer says nothing of the commit: its files stay, none doubles."""
    real = RestCatalog.commit_table

    def commit_table(self: RestCatalog, *args: Any, **options: Any) -> Any:
        real(self, *args, **options)
        return ErrorResponse.model_validate_json("<html>502</html>")

    with monkeypatch.context() as changed:
        changed.setattr(RestCatalog, "commit_table", commit_table)
        with pytest.raises(DependencyError, match="does not answer as it should"):
            extract(far)
    assert extract(far).records_read == 0
    assert ids(far) == everything(buffer)


def test_a_commit_that_never_arrived(
    far: Settings, far_proxy: Proxy, buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that dies before the commit leads to an error now, and the next run makes it."""
    real = RestCatalog.commit_table
    cut: list[str] = []

    def commit_table(self: RestCatalog, *args: Any, **options: Any) -> Any:
        if not cut:
            cut.append("once")
            far_proxy.cut()
        return real(self, *args, **options)

    monkeypatch.setattr(RestCatalog, "commit_table", commit_table)
    with pytest.raises(DependencyError):
        extract(through(far, far_proxy))
    assert not ids(far)
    far_proxy.mend()
    assert extract(through(far, far_proxy)).entries_new == 10
    assert ids(far) == everything(buffer)


def test_a_network_that_swallows_everything(
    far: Settings, far_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes requests and never answers is given up on, not waited for."""
    monkeypatch.setattr(waiting, "ANSWER_SECONDS", 1.0)
    far_proxy.spoil("timeout", timeout=0)
    with pytest.raises(DependencyError):
        extract(through(far, far_proxy))


def test_a_lake_on_the_disk_is_not_left_behind(far: Settings, buffer: Buffer) -> None:
    """With a lake in the local folder no empty one is begun beside it; both ways out are named."""
    kind = {"iceberg_catalog_type": "sql", "iceberg_catalog_uri": None}
    local = Settings(**{**far.model_dump(), **kind})
    extract(local)
    with pytest.raises(SettingsError, match="there is a lake in") as caught:
        extract(far)
    assert "annals restore" in caught.value.hint
    with pytest.raises(LakeError, match="no lake exists yet"):
        open_lake(far)
    assert ids(local) == everything(buffer)


def test_what_is_no_catalog_is_said_so(far: Settings) -> None:
    """An address at which something else answers is a wrong setting."""
    with answering(b"<html>hello</html>") as (port, _), pytest.raises(SettingsError) as caught:
        extract(Settings(**{**far.model_dump(), "iceberg_catalog_uri": f"http://127.0.0.1:{port}"}))
    assert "not an Iceberg catalog" in caught.value.message


def test_an_object_store_is_no_catalog(far: Settings) -> None:
    """The object store's address in place of the catalog's is a wrong setting, not retried."""
    with pytest.raises(SettingsError) as caught:
        extract(Settings(**{**far.model_dump(), "iceberg_catalog_uri": far.s3_endpoint}))
    assert isinstance(caught.value, Terminal)
    assert "ICEBERG_CATALOG_URI" in caught.value.hint


def test_name_and_password_reach_the_server(far: Settings) -> None:
    """What stands before the @ of the address is how the client says who it is."""
    with answering(b"", status=401) as (port, heard):
        uri = f"http://ada:open%20sesame@127.0.0.1:{port}"
        with pytest.raises(SettingsError) as caught:
            extract(Settings(**{**far.model_dump(), "iceberg_catalog_uri": uri}))
    assert heard[0] == f"Basic {base64.b64encode(b'ada:open sesame').decode()}"
    assert "ICEBERG_CATALOG_URI" in caught.value.hint
    assert "sesame" not in texts(caught.value)


@contextlib.contextmanager
def answering(body: bytes, *, status: int = 200) -> Iterator[tuple[int, list[str | None]]]:
    """Give every request the same answer; yield the port, and who asked as they say it."""
    heard: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], heard
        server.shutdown()
        thread.join()


def _can(action: Callable[[], object]) -> bool:
    try:
        action()
    except DependencyError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, generously."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.1)
