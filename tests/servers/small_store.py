"""An object store in this process, as small as S3's interface allows: for answers made to order."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

_PAGE = 2
"""Objects on a page of a listing, so that a few of them need several requests."""


class SmallStore(ThreadingHTTPServer):
    """A bucket whose objects all have one time; ``status`` is what every request gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.objects: dict[str, bytes] = {}
        self.status = 200
        self.has_etags = True
        self.requests: list[str] = []

    def listing(self, prefix: str, token: str) -> bytes:
        """Return a page of the objects below ``prefix`` that come after ``token``."""
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > token)
        entries = "".join(self._entry(key) for key in keys[:_PAGE])
        more = ""
        if len(keys) > _PAGE:
            more = f"<NextContinuationToken>{quote(keys[_PAGE - 1])}</NextContinuationToken>"
        return f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode()

    def _entry(self, key: str) -> str:
        content = self.objects[key]
        etag = f"<ETag>&quot;{hashlib.sha256(content).hexdigest()[:32]}&quot;</ETag>"
        return (
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-01-02T03:04:05.678Z"
            f"</LastModified>{etag if self.has_etags else ''}<Size>{len(content)}</Size></Contents>"
        )


class _Answers(BaseHTTPRequestHandler):
    server: SmallStore
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        self.server.requests.append(f"{self.command} {self.path}")
        query = parse_qs(parts.query)
        key = unquote(parts.path).removeprefix("/bucket").removeprefix("/")
        if self.server.status != 200:
            self._send(self.server.status, b"")
        elif "list-type" in query:
            token = unquote(query.get("continuation-token", [""])[0])
            self._send(200, self.server.listing(query["prefix"][0], token))
        elif self.command == "POST":
            self._send(200, b"<UploadId>1</UploadId>")
        elif key in self.server.objects:
            self._send_range(self.server.objects[key])
        else:
            self._send(404, b"")

    def _send_range(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None:
            self._send(200, content)
            return
        first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
        self._send(206, content[first : last + 1], f"bytes {first}-{last}/{len(content)}")

    def _send(self, status: int, body: bytes, content_range: str = "") -> None:
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 -- names of the library

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def small_store() -> Iterator[SmallStore]:
    """Serve an empty bucket named ``bucket``."""
    with SmallStore() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
