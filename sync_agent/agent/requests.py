"""What a command asks of the process that holds the buffer: flush, replay, retry, reread.

A request is a row of the buffer. Where no agent runs, the command takes the buffer's lock and does
it itself. Where one runs, the command writes the row in a transaction of its own and waits until
the agent has answered in it; the agent looks at each round for rows without an answer. A row
outlives both processes, and what it asks for can be done twice without harm, so a crash between
any two steps loses nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from annals.access import claim_buffer
from annals.buffer.faults import translated
from annals.errors import AnalyticsError, LockedError, PartialError
from annals.locks import Holder, exclusive, held_by
from annals.settings import Settings
from sync_agent.agent.once import LIVE_ROLE
from sync_agent.agent.wake import wake_agent
from sync_agent.buffer.store import Buffer, open_buffer, transaction
from sync_agent.reading.rereads import Requeued, queue_files
from sync_agent.shipping.shipping_service import ShippingStatus
from sync_agent.upkeep.quarantine import retry
from sync_agent.upkeep.replay import Selection, replay

_POLL_SECONDS = 0.1
_BUSY_SECONDS = 10.0
_ANSWERED_KEPT = 100
_OPEN = "select request_id, kind, arguments, taken_at from requests where done_at is null"


class Kind(StrEnum):
    """What can be asked for."""

    FLUSH = "flush"
    REPLAY = "replay"
    RETRY = "retry"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class Desk:
    """How the agent answers requests; ``wake`` has the shipper ship at once.

    ``shipping`` returns the shipper's status; without one a flush is answered as it stands.
    """

    settings: Settings
    wake: Callable[[], None] | None = None
    shipping: Callable[[], ShippingStatus] | None = None

    def serve(self, buffer: Buffer) -> int:
        """Do what is asked for; return how many requests are answered now.

        To be called by the agent's one writer at each round, between two commits; without a
        request it costs one look at an empty table. A flush is begun at one call and answered at
        a later one. What goes wrong with a request is its answer.
        """
        answered = 0
        for request_id, kind, arguments, taken_at in buffer.connection.execute(_OPEN).fetchall():
            if kind == Kind.FLUSH and not self._is_flushed(buffer, request_id, taken_at):
                continue
            _answer(buffer.connection, request_id, self._answer(buffer, kind, arguments))
            answered += 1
        return answered

    def _answer(self, buffer: Buffer, kind: str, arguments: str) -> Mapping[str, Any]:
        try:
            return perform(buffer, self.settings, kind, json.loads(arguments))
        except AnalyticsError as error:
            return {"failed": error.as_dict()}

    def _is_flushed(self, buffer: Buffer, request_id: int, taken_at: int | None) -> bool:
        if self.shipping is None or self.wake is None:
            return True
        if taken_at is None:
            self.wake()
            buffer.connection.execute(
                "update requests set taken_at = ? where request_id = ?", (_now(), request_id)
            )
            return False
        return self.shipping().pending == 0


def perform(
    buffer: Buffer, settings: Settings, kind: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Do what a request asks for; return its answer."""
    if kind == Kind.REPLAY:
        return asdict(replay(buffer, settings, Selection(**arguments)))
    if kind == Kind.RETRY:
        return {"retried": [asdict(one) for one in retry(buffer, settings, arguments["names"])]}
    if kind == Kind.REREAD:
        return asdict(queue_files(buffer, arguments["files"], reason=arguments["reason"]))
    return {}


def queue_rereads(
    settings: Settings, files: Sequence[str], *, reason: str, timeout: float = 30.0
) -> Requeued:
    """Have files read again from their start, by the next sync or by the agent that runs.

    A file is a path, the end of one, or a file key. Raises as :func:`ask`.
    """
    arguments = {"files": list(files), "reason": reason}
    answer = ask(settings, Kind.REREAD, arguments, timeout=timeout)
    return Requeued(tuple(answer["queued"]), tuple(answer["unknown"]))


def ask(
    settings: Settings, kind: Kind, arguments: Mapping[str, Any], *, timeout: float
) -> dict[str, Any]:
    """Have a request done by the live agent, or by this process where none runs.

    Raises LockedError (exit 7) where another command holds the buffer, and PartialError (exit 6)
    where the agent has not answered within ``timeout`` seconds: it will do it all the same.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _alone(settings, kind, arguments)
        except LockedError as error:
            require_live(error)
            answer = _ask_live(settings, kind, arguments, deadline=deadline)
            if answer is not None:
                return answer


def _alone(settings: Settings, kind: Kind, arguments: Mapping[str, Any]) -> dict[str, Any]:
    claim_buffer(settings)
    path = settings.sqlite_path
    what = f"the buffer {path}"
    with (
        translated(path),
        exclusive(settings.buffer_lock, role=f"sync {kind}", what=what),
        open_buffer(path) as buffer,
    ):
        return perform(buffer, settings, kind, arguments)


def require_live(error: LockedError) -> None:
    """Raise ``error`` again unless the holder of the lock is an agent that answers requests."""
    holder = error.context.get("holder")
    if not isinstance(holder, Holder) or holder.role != LIVE_ROLE:
        raise error


def _ask_live(
    settings: Settings, kind: Kind, arguments: Mapping[str, Any], *, deadline: float
) -> dict[str, Any] | None:
    """Ask the agent and wait; return None where it has ended meanwhile, without an answer."""
    path = settings.sqlite_path
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    with translated(path), contextlib.closing(connection):
        request_id = _written(connection, kind, arguments)
        while time.monotonic() < deadline:
            answer = _read_answer(connection, request_id)
            if answer is not None:
                return answer
            holder = held_by(settings.buffer_lock)
            if holder is None:
                connection.execute("delete from requests where request_id = ?", (request_id,))
                return None
            wake_agent(holder)
            time.sleep(_POLL_SECONDS)
    raise PartialError(
        f"the agent has not answered the request to {kind} in time",
        hint="It stays noted and will be done; see `annals sync status`, or give more --timeout.",
        request_id=request_id,
    )


def _written(connection: sqlite3.Connection, kind: Kind, arguments: Mapping[str, Any]) -> int:
    connection.execute("pragma synchronous = full")
    with transaction(connection):
        row_id = connection.execute(
            "insert into requests (kind, arguments, requested_at) values (?, ?, ?)",
            (kind, json.dumps(dict(arguments)), _now()),
        ).lastrowid
        connection.execute(
            "delete from requests where done_at is not null and request_id <= ?",
            ((row_id or 0) - _ANSWERED_KEPT,),
        )
    return row_id or 0


def _read_answer(connection: sqlite3.Connection, request_id: int) -> dict[str, Any] | None:
    row = connection.execute(
        "select answer from requests where request_id = ? and done_at is not null", (request_id,)
    ).fetchone()
    if row is None:
        return None
    answer: dict[str, Any] = json.loads(row[0])
    if "failed" in answer:
        failed = answer["failed"]
        raise AnalyticsError(failed["message"], hint=failed["hint"], **failed["context"])
    return answer


def _answer(connection: sqlite3.Connection, request_id: int, answer: Mapping[str, Any]) -> None:
    connection.execute(
        "update requests set done_at = ?, answer = ? where request_id = ?",
        (_now(), json.dumps(answer), request_id),
    )


def _now() -> int:
    return time.time_ns() // 1000
