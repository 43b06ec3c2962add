"""The Prefect server over its REST API: our login there, and calls with it.

The login is a file that `annals up` makes at its first start. It goes to a server on the loopback
address alone; for any other one PREFECT_LOGIN says what is used.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import stat
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from annals.errors import SettingsError
from annals.files import make_folder
from annals.guard import is_loopback
from annals.limits import TooLargeError, parse_json, read_answer

if TYPE_CHECKING:
    from annals.settings import Settings

USER = "annals"
_BYTES = 24
_PRIVATE = 0o600
_LONGEST = 1_024
_ANSWER_SECONDS = 10.0
_NO_CSRF = (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)


def login_file(settings: Settings) -> Path:
    """Return the file that holds the login of our own Prefect server.

    The sample has a state folder of its own, and no server of its own.
    """
    from annals.settings.sample import SAMPLE_TRANSCRIPTS  # noqa: PLC0415 -- loads settings

    home = settings.annals_home
    is_sample = settings.claude_dir == SAMPLE_TRANSCRIPTS and home.name == "sample"
    return (home.parent if is_sample else home) / "prefect" / "login"


def find_login(settings: Settings) -> str | None:
    """Return USER:PASSWORD for the server at PREFECT_API_URL, or None where there is none.

    Raises SettingsError (exit 3) where the file is not a login that only its owner can write.
    """
    if settings.prefect_login is not None:
        return settings.prefect_login.get_secret_value()
    if not is_loopback(urlsplit(settings.prefect_api).hostname or ""):
        return None
    return _read(login_file(settings))


def make_login(settings: Settings) -> str:
    """Return the login of our own server; where there is none yet, a random one is written.

    Two processes at once get the same. Raises SettingsError (exit 3) as :func:`find_login`.
    """
    if (found := find_login(settings)) is not None:
        return found
    path = login_file(settings)
    make_folder(path.parent, mode=0o700)
    half = path.with_name(f"login.{secrets.token_hex(8)}.new")
    descriptor = os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its login counts
            os.link(half, path)
    finally:
        half.unlink()
    return _read(path) or ""


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0):
            raise _unusable(path, "it is not a regular file of this user")
        if stat.S_IMODE(status.st_mode) != _PRIVATE and status.st_uid == os.geteuid():
            os.fchmod(file.fileno(), _PRIVATE)
        text = file.read(_LONGEST).decode("latin-1").strip()
    if not (text.isascii() and text.isprintable() and all(text.partition(":")[::2])):
        raise _unusable(path, "it does not hold USER:PASSWORD")
    return text


def _unusable(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"the login of the Prefect server cannot be read: {path}: {why}",
        hint=f"Run `annals down`, remove {path}, and run `annals up`, which writes another one.",
        path=path,
    )


def authorization_header(login: str) -> str:
    """Return the value of the header ``Authorization`` for a login."""
    return f"Basic {base64.b64encode(login.encode()).decode('ascii')}"


def client_variables(settings: Settings) -> dict[str, str]:
    """Return the variables by which Prefect's own client finds the server and may ask it."""
    login = find_login(settings)
    return {
        "PREFECT_API_URL": settings.prefect_api,
        **({"PREFECT_API_AUTH_STRING": login} if login else {}),
    }


class PrefectRefusedError(ConnectionError):
    """The server answered, and not with success.

    ``status`` is its HTTP status, ``content`` what it said.
    """

    def __init__(self, status: int, content: bytes = b"") -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.content = content


class PrefectApi:
    """Calls the REST API at ``address`` with a login, and with a CSRF token where one is wanted."""

    def __init__(
        self, address: str, login: str | None, *, seconds: float = _ANSWER_SECONDS
    ) -> None:
        self._place = urlsplit(address)
        self._seconds = seconds
        self._fields = {"Content-Type": "application/json"}
        if login:
            self._fields["Authorization"] = authorization_header(login)
        self._client = secrets.token_hex(16)
        self._token: str | None = None

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return what the API answers, as JSON.

        Raises PrefectRefusedError where it refuses, OSError where it does not answer.
        """
        if method == "GET":
            return self._ask(method, path, None, {})
        if self._token is None:
            self._token = self._new_token()
        try:
            return self._ask(method, path, body, self._proof())
        except PrefectRefusedError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
        self._token = self._new_token()  # it lasts for an hour
        return self._ask(method, path, body, self._proof())

    def _proof(self) -> dict[str, str]:
        if not self._token:
            return {}
        return {"Prefect-Csrf-Token": self._token, "Prefect-Csrf-Client": self._client}

    def _new_token(self) -> str:
        """Return a token; "" where the server asks for none."""
        try:
            found = self._ask("GET", f"/csrf-token?client={self._client}", None, {})
            return str(found["token"]) if isinstance(found, dict) and "token" in found else ""
        except PrefectRefusedError as error:
            if error.status in _NO_CSRF:
                return ""
            raise

    def _ask(self, method: str, path: str, body: object, proof: dict[str, str]) -> Any:
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if self._place.scheme == "https":
            kind = http.client.HTTPSConnection
        connection = kind(self._place.hostname or "", self._place.port, timeout=self._seconds)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, self._place.path + path, text, {**self._fields, **proof})
            answer = connection.getresponse()
            content = read_answer(answer)
        except http.client.HTTPException as error:
            raise ConnectionError(type(error).__name__) from error
        except TooLargeError as error:
            raise ConnectionError(f"its answer cannot be used: {error}") from error
        finally:
            connection.close()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PrefectRefusedError(answer.status, content)
        return parse_json(content) if content else None
