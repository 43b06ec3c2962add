"""What an object store answers, as S3's own status and code; asked again if a library drops them.

Arrow passes on a store's answer as a sentence. No sentence decides which error it is: the store is
asked once more for the same bucket, with the same keys, and its status and code decide.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from annals.lake.places import STORE_SCHEMES
from annals.limits import STEP_BYTES

_WAIT_SECONDS = 5.0
_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9]{1,64})\s*</Code>")
_UPLOAD = re.compile(rb"<UploadId>\s*([^<\s]{1,1024})\s*</UploadId>")
_PROBE = ".annals-probe"
OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store answered: the status of HTTP, None if nothing came, and S3's code."""

    status: int | None
    code: str = ""

    @classmethod
    def of(cls, status: int | None, body: str | bytes = b"") -> Answer:
        """Return an answer by its body, which holds the code if it is S3's XML."""
        content = body.encode(errors="replace") if isinstance(body, str) else body
        found = _CODE.search(content)
        return cls(status, found[1].decode("ascii") if found else "")


def ask_store(properties: Mapping[str, Any], location: str) -> Answer:
    """Return what the store of ``location`` answers to the same keys, reading and writing.

    ``properties`` are those of Iceberg's library for a table. Nothing is written: an upload is
    begun, which needs the same right, and given up.
    """
    bucket, _, folder = location.partition("://")[2].partition("/")
    store = Store(properties, bucket)
    answer, _ = store.ask("GET", "", {"list-type": "2", "max-keys": "1", "prefix": folder})
    if answer.status != OK or answer.code:
        return answer
    key = f"{folder.strip('/')}/{_PROBE}".lstrip("/")
    answer, body = store.ask("POST", key, {"uploads": ""})
    if found := _UPLOAD.search(body):
        store.ask("DELETE", key, {"uploadId": found[1].decode("ascii", "replace")})
    return answer


def is_in_store(location: str) -> bool:
    """Return whether a location is in an object store."""
    return location.startswith(STORE_SCHEMES)


class _NoRedirect(HTTPRedirectHandler):
    """Keys and signatures are for the store that settings name, and for no other host."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


class Store:
    """A bucket, and how requests to it are signed (AWS Signature Version 4)."""

    def __init__(self, properties: Mapping[str, Any], bucket: str) -> None:
        given = {name: str(value) for name, value in properties.items()}
        self._region = given.get("s3.region") or "us-east-1"
        self._key = given.get("s3.access-key-id", "")
        self._secret = given.get("s3.secret-access-key", "")
        self._token = given.get("s3.session-token", "")
        endpoint = given.get("s3.endpoint") or f"https://s3.{self._region}.amazonaws.com"
        parts = urlsplit(endpoint)
        is_virtual = given.get("s3.force-virtual-addressing", "").lower() == "true"
        self._host = f"{bucket}.{parts.netloc}" if is_virtual else parts.netloc
        self._folder = "/" if is_virtual else f"/{quote(bucket)}/"
        self._scheme = parts.scheme or "https"
        proxy = given.get("s3.proxy-uri")
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._opener = build_opener(ProxyHandler(proxies), _NoRedirect())

    def ask(
        self, method: str, key: str, query: Mapping[str, str], *, limit: int = STEP_BYTES
    ) -> tuple[Answer, bytes]:
        """Return the answer to one request without a body, and ``limit`` bytes of its own body."""
        path = self._folder + quote(key)
        text = urlencode(sorted(query.items()), quote_via=quote, safe="")
        headers = self._signed(method, path, text)
        address = f"{self._scheme}://{self._host}{path}?{text}"
        request = Request(address, headers=headers, method=method)  # noqa: S310 -- the setting's
        try:
            with self._opener.open(request, timeout=_WAIT_SECONDS) as stream:
                body = _body(stream, limit)
                return Answer.of(stream.status, body), body
        except HTTPError as error:
            with error:
                return Answer.of(error.code, _body(error, STEP_BYTES)), b""
        except (OSError, http.client.HTTPException, ValueError):
            return Answer(None), b""

    def _signed(self, method: str, path: str, query: str) -> dict[str, str]:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        empty = sha256(b"").hexdigest()
        headers = {"host": self._host, "x-amz-content-sha256": empty, "x-amz-date": now}
        if self._token:
            headers["x-amz-security-token"] = self._token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        whole = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{empty}"
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(whole.encode()).hexdigest()}"
        key = f"AWS4{self._secret}".encode()
        for part in (now[:8], self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self._key}/{scope}"
        rest = f"SignedHeaders={names}, Signature={signature}"
        return headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}, {rest}"}


def _body(stream: IO[bytes], limit: int) -> bytes:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return stream.read(limit)
    return b""
