"""Running servers: started on a free loopback port, stopped by their own process id."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database

from tests.servers.building import built

PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A process that listens on ``port``."""

    def __init__(
        self, *command: str, port: int, log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.port = port
        self._command = command
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError(f"{self._command[0]} does not listen: {self._log.read_text()[-400:]}")

    def stop(self) -> None:
        """Kill it, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Mongo:
    """A server that speaks MongoDB's protocol, and a fresh database in it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = f"t_{uuid.uuid4().hex[:12]}"
        self.uri = f"mongodb://127.0.0.1:{server.port}/"
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.uri)

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The database, for looking into it past the product."""
        return self._client[self.name]

    @property
    def conversations(self) -> Collection[dict[str, Any]]:
        """The collection of documents."""
        return self.database["conversations"]

    def ids(self) -> set[str]:
        """Return the ids of all documents that an agent wrote."""
        found = self.conversations.find({"agentId": {"$exists": True}}, {"_id": 1})
        return {document["_id"] for document in found}

    def close(self) -> None:
        """Drop the database, where the server still answers, and disconnect."""
        try:
            with pymongo.timeout(2):
                self._client.drop_database(self.name)
        except pymongo.errors.PyMongoError:
            pass
        self._client.close()


def ferretdb(folder: Path) -> Server:
    """Return a FerretDB with its files in ``folder``, not started yet."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    program = str(built("ferretdb"))
    return Server(program, f"127.0.0.1:{port}", str(folder), port=port, log=folder / "log")


def toxiproxy(folder: Path) -> Server:
    """Return a Toxiproxy, not started yet."""
    port = free_port()
    program = str(built("toxiproxy"))
    return Server(
        program, "-host", "127.0.0.1", "-port", str(port), port=port, log=folder / "toxiproxy.log"
    )


class Proxy:
    """A bad network between a test and a server; good until something is done to it."""

    def __init__(self, toxiproxy: Server, upstream: int) -> None:
        self.name = uuid.uuid4().hex
        self.port = free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/"
        self._address = f"http://127.0.0.1:{toxiproxy.port}/proxies"
        self._call(
            "POST",
            "",
            name=self.name,
            listen=f"127.0.0.1:{self.port}",
            upstream=f"127.0.0.1:{upstream}",
            enabled=True,
        )

    def cut(self) -> None:
        """Cut every connection and refuse new ones."""
        self._call("POST", f"/{self.name}", enabled=False)

    def mend(self) -> None:
        """Be a good network again."""
        self._call("POST", f"/{self.name}", enabled=True)
        for toxic in self._call("GET", f"/{self.name}/toxics"):
            self._call("DELETE", f"/{self.name}/toxics/{toxic['name']}")

    def spoil(self, kind: str, *, stream: str = "downstream", **attributes: int) -> None:
        """Add a toxic: latency, bandwidth, slow_close, timeout, reset_peer, limit_data."""
        self._call("POST", f"/{self.name}/toxics", type=kind, stream=stream, attributes=attributes)

    def close(self) -> None:
        """Take the proxy away."""
        self._call("DELETE", f"/{self.name}")

    def _call(self, method: str, path: str, **body: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310 -- our own server on the loopback
            self._address + path,
            data=json.dumps(body).encode() if body else None,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- as above
            text = answer.read()
        return json.loads(text) if text else None
