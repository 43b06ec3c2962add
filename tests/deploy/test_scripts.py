"""The scripts of the images, run as they are: what they look at, say, and become."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.conftest import ROOT
from tests.servers.running import free_port

ENTRY = ROOT / "deploy" / "annals" / "entry.sh"
HEALTHY = ROOT / "deploy" / "annals" / "healthy.py"
FETCH = ROOT / "deploy" / "metabase" / "fetch.sh"
JAR = b"a jar"


def _run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers like the services: health, a jar, Prefect's list of workers, an object store."""

    workers: ClassVar[list[dict[str, str]]] = []
    bucket_code = 200
    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        codes = {"/jar": 200, "/health": 200, "/ill": 503}
        self._answer(codes.get(self.path, 404), JAR)

    def do_POST(self) -> None:
        self._answer(200, json.dumps(self.workers).encode())

    def do_PUT(self) -> None:
        self.requests.append(f"{self.path} {self.headers.get('Authorization', '')[:16]}")
        self._answer(self.bucket_code, b"")

    def _answer(self, code: int, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
        """Log no request."""


@pytest.fixture
def address() -> Iterator[str]:
    """Return the address of a server for this test."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _Server.requests.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_entry_becomes_its_command(tmp_path: Path) -> None:
    """With writable folders it is replaced by the command, and leaves nothing behind."""
    for mode, umask in (("private", "0077"), ("group", "0007")):
        told = {"ANNALS_WRITES": str(tmp_path), "STATE_MODE": mode}
        done = _run("sh", ENTRY, "sh", "-c", "echo $$; umask", **told)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[1] == umask
    assert list(tmp_path.iterdir()) == []
    assert _run("sh", ENTRY, "sh", "-c", "exit 7").returncode == 7


def test_the_entry_without_a_command_says_so() -> None:
    """No command is a mistake in use, not a container that ends well."""
    done = _run("sh", ENTRY)
    assert done.returncode == 2
    assert "there is no command to run" in done.stderr


def test_a_volume_that_cannot_be_written_is_named() -> None:
    """The folder, the user, and what to do about it; nothing is started."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        script = shutil.copy(ENTRY, place)
        folder = Path(place, "volume")
        folder.mkdir(mode=0o555)
        # Root may write everywhere, so that it is tried as somebody else.
        other = ["setpriv", "--reuid=10001", "--regid=0", "--clear-groups"]
        command = [*(other if os.getuid() == 0 else []), "sh", script, "echo", "started"]
        done = _run(*command, ANNALS_WRITES=str(folder))
    assert done.returncode == 1
    assert f"{folder} cannot be written by user" in done.stderr
    assert "docs/deployment.md" in done.stderr
    assert "started" not in done.stdout


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """A volume that is not mounted is not a folder to write to."""
    done = _run("sh", ENTRY, "echo", "started", ANNALS_WRITES=str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "missing cannot be written" in done.stderr


def test_too_little_space_in_a_volume_is_exit_10(tmp_path: Path) -> None:
    """The code that the program has for a full disk, before it starts."""
    much = str(2**50)
    done = _run("sh", ENTRY, "echo", ANNALS_WRITES=str(tmp_path), ANNALS_LEAST_DISK_KIB=much)
    assert done.returncode == 10
    assert "MiB left" in done.stderr


@pytest.mark.parametrize(("limit", "code"), [("max", 0), (str(64 * 1024**2), 1), (str(2**31), 0)])
def test_too_little_memory_of_a_container_is_said(tmp_path: Path, limit: str, code: int) -> None:
    """A limit below the least is named with the setting that raises it."""
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    variables = {"ANNALS_MEMORY_LIMIT_FILE": str(tmp_path / "memory.max")}
    done = _run("sh", ENTRY, "echo", "started", **variables)
    assert done.returncode == code
    assert ("WORKER_MEMORY" in done.stderr) is (code == 1)


@pytest.mark.parametrize(
    ("path", "says", "code"),
    [
        ("/health", JAR.decode(), 0),
        ("/health", "another program", 1),
        ("/ill", JAR.decode(), 1),
        ("/gone", JAR.decode(), 1),
    ],
)
def test_health_is_what_the_service_answers(address: str, path: str, says: str, code: int) -> None:
    """An answer below 400 with the service's own text is health; anything else is not."""
    done = _run(sys.executable, HEALTHY, f"{address}{path}", "--says", says)
    assert done.returncode == code
    assert bool(done.stderr) is (code == 1)


def test_a_service_that_is_not_there_is_unhealthy() -> None:
    """Nobody listens: exit 1 and the reason, no stack trace."""
    done = _run(sys.executable, HEALTHY, f"http://127.0.0.1:{free_port()}/", "--says", "x")
    assert done.returncode == 1
    assert done.stderr.startswith("unhealthy: ")
    assert _run(sys.executable, HEALTHY, "file:///etc/passwd", "--says", "x").returncode == 1
    assert _run(sys.executable, HEALTHY, "http://127.0.0.1/").returncode == 2


@pytest.mark.parametrize(
    ("workers", "code"),
    [
        ([], 1),
        ([{"name": "a", "status": "OFFLINE"}, {"name": "b", "status": "ONLINE"}], 1),
        ([{"name": "a", "status": "ONLINE"}], 0),
    ],
)
def test_a_worker_is_healthy_where_prefect_hears_of_it(
    address: str, workers: list[dict[str, str]], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that Prefect has not heard of lately is not healthy, whatever others do."""
    monkeypatch.setattr(_Server, "workers", workers)
    done = _run(sys.executable, HEALTHY, address, "--worker-of", "annals", "--worker", "a")
    assert done.returncode == code, done.stderr


def test_a_jar_is_kept_only_with_its_sum(address: str, tmp_path: Path) -> None:
    """The right sum keeps it; a wrong one, or none, leaves no file and ends the build."""
    jar = tmp_path / "app" / "metabase.jar"
    right = hashlib.sha256(JAR).hexdigest()
    done = _run("sh", FETCH, f"{address}/jar", right, jar, "METABASE_SHA256")
    assert done.returncode == 0, done.stderr
    assert jar.read_bytes() == JAR
    for wrong, code in (("0" * 64, 9), ("", 3), ("latest", 3)):
        jar.unlink(missing_ok=True)
        done = _run("sh", FETCH, f"{address}/jar", wrong, jar, "METABASE_SHA256")
        assert done.returncode == code
        assert "METABASE_SHA256" in done.stderr
        assert not jar.exists()


def _programs(folder: Path) -> str:
    """Make a ``java`` that says how it was called; return a PATH with it."""
    folder.mkdir()
    java = folder / "java"
    java.write_text('#!/bin/sh\necho "plugins=$MB_PLUGINS_DIR $*"\n')
    java.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_metabase_finds_its_driver_on_the_volume(tmp_path: Path) -> None:
    """The driver is copied where Metabase may write, each time again, and Metabase is started."""
    jars, data = tmp_path / "jars", tmp_path / "data"
    jars.mkdir()
    data.mkdir()
    (jars / "duckdb.metabase-driver.jar").write_bytes(JAR)
    variables = {
        "PATH": _programs(tmp_path / "bin"),
        "METABASE_JARS": str(jars),
        "METABASE_DATA": str(data),
    }
    script = ROOT / "deploy" / "metabase" / "entry.sh"
    done = _run("sh", script, **variables)
    assert done.stdout.startswith(f"plugins={data}/plugins ")
    assert done.stdout.strip().endswith(f"-jar {jars}/metabase.jar")
    (jars / "duckdb.metabase-driver.jar").write_bytes(b"newer")
    assert _run("sh", script, **variables).returncode == 0
    assert (data / "plugins" / "duckdb.metabase-driver.jar").read_bytes() == b"newer"
    (data / "plugins" / "duckdb.metabase-driver.jar").unlink()
    (data / "plugins").rmdir()
    (data / "plugins").write_text("in the way")
    done = _run("sh", script, **variables)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (409, 0), (403, 4)])
def test_the_catalog_makes_its_bucket(
    address: str, tmp_path: Path, answer: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that is made or there already starts the catalog; a refusal says what refused."""
    monkeypatch.setattr(_Server, "bucket_code", answer)
    done = _run(
        "sh",
        ROOT / "deploy" / "rest-catalog" / "start.sh",
        PATH=_programs(tmp_path / "bin"),
        CATALOG_S3_ENDPOINT=address,
        CATALOG_WAREHOUSE="s3://lake/",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",  # noqa: S106 -- made up
    )
    assert done.returncode == code, done.stderr
    assert _Server.requests == ["/lake AWS4-HMAC-SHA256"]
    assert ("iceberg-rest-adapter.jar" in done.stdout) is (code == 0)
    assert "secret" not in done.stdout + done.stderr
