"""A gateway in front of a catalog server, which does to commits what gateways do to requests."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONFLICT = (409, b'{"error":{"message":"no","type":"CommitFailedException","code":409}}')

Answer = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for; ``send`` asks the server for it, as often as it is called."""

    send: Callable[[], Answer]


Manner = Callable[[Request], Answer | None]
"""What becomes of the request of a commit; without an answer the connection is cut."""


@dataclass(slots=True)
class Gateway:
    """Passes everything on; the next commits go through ``manners``, one each."""

    port: int
    manners: list[Manner] = field(default_factory=list)
    is_down: bool = False


def passed_on(request: Request) -> Answer:
    """Be no more than a way."""
    return request.send()


def repeated(request: Request) -> Answer:
    """Send a commit twice, as one does who has lost the first answer."""
    request.send()
    return request.send()


def committed_and_refused(request: Request) -> Answer:
    """Let the commit happen, and say that it did not."""
    request.send()
    return CONFLICT


def refused(_: Request) -> Answer:
    """Keep the commit back, and say that it did not happen."""
    return CONFLICT


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    upstream: int
    gateway: Gateway


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        """Pass a request on, or do to it what its turn says."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = {name: self.headers[name] for name in ("Content-Type",) if name in self.headers}
        method, path = self.command, self.path  # a later request on this connection has others
        request = Request(lambda: _ask(self.server.upstream, method, path, body, given))
        is_commit = method == "POST" and path.endswith("/tables/conversations")
        found = self.server.gateway
        manner = found.manners.pop(0) if is_commit and found.manners else passed_on
        answer = None if found.is_down else manner(request)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(answer[1])

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def gateway(upstream: int) -> Iterator[Gateway]:
    """Run a gateway in front of the server at the port ``upstream``."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.upstream = upstream
        server.gateway = Gateway(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.gateway
        finally:
            server.shutdown()
            thread.join()


def _ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as server:
        server.request(method, path, body, headers)
        answer = server.getresponse()
        return answer.status, answer.read()
