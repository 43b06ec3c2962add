"""A server that stands for a proxy of other work: it notes what is asked of it, and refuses."""

from __future__ import annotations

import contextlib
import socket
import threading

_LONGEST = 2_000
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""The variables by which programs name a proxy; any that ends with _proxy is one."""


class Listener:
    """Listens on a free port until it is closed; ``requests`` is the first line of each."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self.variables = dict.fromkeys((*VARIABLES, "wss_proxy", "ws_proxy"), self.address)
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                text = connection.recv(_LONGEST).decode("latin-1")
                self.requests.append(text.partition("\r\n")[0])
                connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
