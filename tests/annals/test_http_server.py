"""The server for small answers: limits of time, bytes and connections, and the guard in front."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from annals.http_server import HEAD_BYTES, BoundedServer, GuardedHandler
from tests.conftest import PACKAGES, ROOT

SECONDS = 1.0


class _Handler(GuardedHandler):
    def do_GET(self) -> None:  # noqa: N802 -- the library's name
        """Answer with a word."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"inside")


@pytest.fixture
def server() -> Iterator[BoundedServer]:
    """Serve in a thread, with little patience and few connections."""
    found = BoundedServer(("127.0.0.1", 0), _Handler)
    found.request_seconds, found.connections = SECONDS, 8
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def connect(server: BoundedServer) -> socket.socket:
    """Return a connection to it."""
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=20)


def ask(server: BoundedServer, head: bytes = b"Host: localhost\r\n") -> bytes:
    """Send a request with this head and return the whole answer; b"" where there is none."""
    with connect(server) as client, contextlib.suppress(ConnectionError):
        client.sendall(b"GET / HTTP/1.1\r\n" + head + b"\r\n")
        return b"".join(iter(lambda: client.recv(65_536), b""))
    return b""


def test_it_answers_and_refuses(server: BoundedServer) -> None:
    """A request for a name of ours is answered, any other gets 403 with a reason and a hint."""
    assert ask(server).endswith(b"inside")
    for head in (b"", b"Host: evil.example\r\n", b"Host: localhost\r\nHost: localhost\r\n"):
        answer = ask(server, head)
        assert answer.startswith(b"HTTP/1.0 403"), head
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error", "hint"}
    server.hosts = {"evil.example"}
    assert ask(server, b"Host: evil.example\r\n").endswith(b"inside")


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_slow_request_ends_as_a_whole(server: BoundedServer, said: bytes) -> None:
    """A byte now and then keeps a connection no longer than the limit, wherever it is slow."""
    started = time.monotonic()
    with connect(server) as client:
        client.sendall(said)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < 15 * SECONDS:
                client.settimeout(SECONDS / 10)
                with contextlib.suppress(TimeoutError):
                    if not client.recv(65_536):
                        break
                client.sendall(b"X")
    assert time.monotonic() - started < 10 * SECONDS


@pytest.mark.parametrize("line", [b"X: " + b"x" * 100 + b"\r\n", b"x" * 100])
def test_a_head_has_a_limit(server: BoundedServer, line: bytes) -> None:
    """A head without an end is cut off, in many lines and in one."""
    sent = 0
    with connect(server) as client, contextlib.suppress(OSError):
        client.sendall(b"GET / HTTP/1.1\r\n")
        while sent < 100_000_000:
            client.sendall(line * 100)
            sent += len(line) * 100
    assert HEAD_BYTES < sent < 100_000_000


def test_idle_connections_keep_nobody_out(server: BoundedServer) -> None:
    """With many connections that say nothing, the next request is answered at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(server))
        started = time.monotonic()
        assert ask(server).endswith(b"inside")
        assert time.monotonic() - started < SECONDS
        assert len(server._open) <= server.connections + 1


def test_clients_that_do_not_read_are_given_up(server: BoundedServer) -> None:
    """What is counted as open is given back when a client goes away without a word."""
    for _ in range(20):
        connect(server).close()
    end = time.monotonic() + 20
    while server._open and time.monotonic() < end:
        time.sleep(0.02)
    assert not server._open


def test_every_port_is_opened_behind_the_guard() -> None:
    """No code of ours opens a port but by this server, or by the launcher of Prefect's."""
    opens = re.compile(
        r"\b(?:HTTPServer|start_http_server|make_server|uvicorn\.run|create_server|WSGIServer)\b"
        r"|\.listen\("
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for name in (*PACKAGES, "deploy")
        for path in (ROOT / name).rglob("*.py")
        if opens.search(
            path.read_text(encoding="utf-8").replace("ThreadingHTTPServer", "HTTPServer")
        )
    }
    assert found == {"annals/http_server.py"}
