"""An HTTP server for small answers that neither a slow client nor a web page can misuse.

Requests pass :mod:`annals.guard`. A request has a limit of time as a whole, of bytes in its
head, and of connections at once: the newest is always answered, the oldest makes room for it.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from annals.guard import STATUS, refusal, refusal_body

REQUEST_SECONDS = 10.0
HEAD_BYTES = 16_384
CONNECTIONS = 32


class _BoundedReader(io.RawIOBase):
    """Reads from a socket until a moment, and no more than so many bytes in all."""

    def __init__(self, connection: socket.socket, *, until: float) -> None:
        self._connection = connection
        self._until = until
        self._left = HEAD_BYTES

    def readable(self) -> bool:
        """Return that this is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; raise TimeoutError when the time is over."""
        seconds = self._until - time.monotonic()
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError("the request takes too long, or its head is too large")
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= count
        return count


class GuardedHandler(BaseHTTPRequestHandler):
    """Reads one request within its limits and refuses what the guard refuses."""

    server: BoundedServer
    server_version = "annals"
    sys_version = ""

    def setup(self) -> None:
        """Put the limits around the connection."""
        super().setup()
        self._until = time.monotonic() + self.server.request_seconds
        self.rfile.close()
        self.rfile = io.BufferedReader(_BoundedReader(self.connection, until=self._until))

    def parse_request(self) -> bool:
        """Read the head; answer by itself where the guard refuses it."""
        if not super().parse_request():
            return False
        why = refusal(self.headers.items(), method=self.command, hosts=self.server.hosts)
        # What is left of the time is for the answer, a client that does not read it included.
        self.connection.settimeout(max(self._until - time.monotonic(), 0.001))
        if why is None:
            return True
        body = refusal_body(why)
        self.send_response(STATUS)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
        """Log no request."""


class BoundedServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own, so many of them at most."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    request_seconds = REQUEST_SECONDS
    connections = CONNECTIONS
    hosts: Collection[str] = ()
    """Names that a request may be for, beside those of the loopback address."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._open: dict[socket.socket, None] = {}
        self._opening = threading.Lock()
        super().__init__(*arguments, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where there are too many, the oldest connection is cut."""
        with self._opening:
            oldest = next(iter(self._open)) if len(self._open) >= self.connections else None
            if oldest is not None:
                del self._open[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its own thread closes it
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection, and count it no more."""
        with self._opening:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away; the next one is answered as ever."""
