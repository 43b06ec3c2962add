"""How a service is asked whether it is well, and what is made of its answer."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from enum import Enum

from annals.http_server import GuardedHandler
from annals.limits import parse_json
from annals.prefect_api import PrefectApi

POOL = "annals"
_ANSWER_SECONDS = 8.0
_MOST_BYTES = 1024 * 1024
"""The rest of a longer answer is not read, and such an answer is not an agent's."""
_BEAT_SECONDS = 60.0
_OK = 200
_READING = ("ok", "degraded")


class Answer(Enum):
    """What a service answers; only silence, where it lasts, has it started again.

    ``UNWELL`` is everything else: it answers that something is wrong with what it works on, which
    a restart does not mend, or the only process that knows cannot be asked.
    """

    HEALTHY = "healthy"
    UNWELL = "unwell"
    SILENT = "silent"


Expected = Callable[[str, bytes], bool]
"""Whether an answer, its ``Server`` header and body, is that of the service that we started."""


def is_prefect(server: str, body: bytes) -> bool:
    """Return whether the health of a Prefect server was answered."""
    del server
    return body.strip() == b"true"


def is_ours(server: str, body: bytes) -> bool:
    """Return whether a server of this program answered."""
    del body
    return server.split("/", maxsplit=1)[0].strip() == GuardedHandler.server_version


def is_agent(server: str, body: bytes) -> bool:
    """Return whether an agent answered that it reads."""
    try:
        told = parse_json(body)
    except ValueError:
        return False
    return is_ours(server, body) and isinstance(told, dict) and told.get("status") in _READING


def ask(url: str, expected: Expected, method: str = "GET") -> Answer:
    """Ask an address: a success with the expected answer is healthy, any other answer unwell.

    Another program may have the port: that it answers is not a sign of ours.
    """
    request = urllib.request.Request(url, method=method)  # noqa: S310 -- our own
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as found:  # noqa: S310 -- as above
            is_known = expected(str(found.headers.get("Server", "")), found.read(_MOST_BYTES))
            return Answer.HEALTHY if found.status == _OK and is_known else Answer.UNWELL
    except urllib.error.HTTPError as error:
        from sync_agent.agent.observation import STUCK

        with error:
            is_stuck = expected is is_agent and STUCK.encode() in error.read(_MOST_BYTES)
            return Answer.SILENT if is_stuck else Answer.UNWELL
    except (OSError, ValueError):
        return Answer.SILENT


def ask_agent(url: str) -> Answer:
    """Ask the agent's ``/health``; one whose reading stands still is silent, though it answers."""
    return ask(url, is_agent)


class Heartbeats:
    """Asks a Prefect server whether a worker's heartbeats go on.

    That they change is the sign of life: neither our clock nor the server's takes part. While the
    server does not answer nobody can tell, and the silence is counted again afterwards: a worker
    backs off meanwhile. ``seconds`` is how long a heartbeat counts; there is one about every 30.
    """

    def __init__(
        self, api: str, name: str, *, login: str | None = None, seconds: float = _BEAT_SECONDS
    ) -> None:
        self._api = PrefectApi(api, login, seconds=_ANSWER_SECONDS)
        self._name = name
        self._seconds = seconds
        self._seen: str | None = None
        self._is_asked = False
        self._until: float | None = None

    def ask(self) -> Answer:
        """Ask once; the first answer only says what an earlier worker of that name has left."""
        now = time.monotonic()
        try:
            seen = self._last()
        except (OSError, ValueError, KeyError):
            if self._until is not None:
                self._until = now + self._seconds
            return Answer.UNWELL
        if self._is_asked and seen != self._seen:
            self._until = now + self._seconds
        self._seen, self._is_asked = seen, True
        return Answer.HEALTHY if self._until and now < self._until else Answer.SILENT

    def _last(self) -> str | None:
        """Return when the server heard of the worker last, by the server's clock."""
        workers = self._api.call("POST", f"/work_pools/{POOL}/workers/filter", {})
        return {one["name"]: one["last_heartbeat_time"] for one in workers}.get(self._name)
