"""``/health``, ``/ready`` and ``/metrics`` on HEALTH_PORT, answered from a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from annals.guard import bound_names
from annals.http_server import BoundedServer, GuardedHandler
from annals.settings import Settings
from annals.telemetry.exposition import CONTENT_TYPE
from annals.text import json_text
from sync_agent.agent.metrics import metrics_of
from sync_agent.agent.observation import Observation, Observer

if TYPE_CHECKING:
    from sync_agent.agent.trigger import Asked

_JSON = "application/json"

Answer = tuple[HTTPStatus, str, str]
"""Status, content type and body."""


def health(seen: Observation) -> Answer:
    """Answer how the agent is: 200 while it reads, 503 where the buffer cannot be written."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if seen.status == "error" else HTTPStatus.OK
    return status, _JSON, json_text(health_members(seen))


def ready(seen: Observation) -> Answer:
    """Answer whether everything that was there at the start is read: 200, else 503."""
    status = HTTPStatus.OK if seen.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _JSON, json_text({"ready": seen.is_ready, "status": seen.status})


def metrics(seen: Observation) -> Answer:
    """Answer with every metric."""
    return HTTPStatus.OK, CONTENT_TYPE, metrics_of(seen)


ENDPOINTS: dict[str, Callable[[Observation], Answer]] = {
    "/health": health,
    "/ready": ready,
    "/metrics": metrics,
}


MEMBERS = {
    "status": "`ok`; `degraded`: something waits or cannot be read; `error`: the buffer cannot be"
    " written",
    "pending": "records in the buffer that some consumer does not have yet",
    "synced": "records that every consumer has, over the buffer's lifetime; what the server refused"
    " is not among them",
    "lastSyncAt": "when a consumer took records last, ISO 8601, or null",
    "mongoConnected": "whether the server answers; false without MONGO_URI",
    "uptime": "seconds since the agent was started",
    "message": "what is wrong or waits, in words",
    "errors": "how often what went wrong, by kind; without those of a start that became healthy",
    "watchers": "for each folder of CLAUDE_DIR, in order: `mode` (`events`, `poll`, `missing`),"
    " `state` (`active` within the last minute, or `idle`), `filesWatched`, `queued` (files that"
    " wait to be read), `foldersPolled` (folders for which the system had no watch left), `note`",
    "filesWatched": "transcripts below all folders",
    "lastEvents": "the last 5 events of files: `event`, `file` (its name without its folder),"
    " `timestamp`",
    "eventsPerMinute": "events of files within the last minute",
    "avgProcessingTime": "milliseconds that working on an event took, on the average",
    "lag": "bytes on disk that are not read yet by the file's name, the 20 with most",
    "lagBytes": "the same over all files, unfinished last lines included",
    "bufferBytes": "bytes of the buffer's file and its log",
    "deadLetters": "records that the server refused",
    "circuit": "`closed`, `open` (the server is left alone for a while), `half-open`, or `none`"
    " without MONGO_URI",
    "watchMissedTotal": "changes that no event told of, found by a full round",
    "bytesVerified": "bytes of grown files that were read again to verify them",
    "pipeline": "null with PIPELINE_TRIGGER=off; else `state` (`idle`, `waiting`, `running`,"
    " `failing`), `runs`, `failures`, `busy` (how often another run was under way), `lastError`,"
    " `lastRunSeconds`, `waitingSeconds` (for how long a run has been asked for; from 15 minutes on"
    " that is `degraded`)",
}
"""What each member of ``/health`` means; the first six are those of the original service."""


def health_members(seen: Observation) -> dict[str, Any]:
    """Return the members of ``/health``, those of :data:`MEMBERS`."""
    last = seen.figures.last_sync_at
    return {
        "status": seen.status,
        "pending": seen.figures.pending,
        "synced": seen.figures.synced,
        "lastSyncAt": last.isoformat().replace("+00:00", "Z") if last else None,
        "mongoConnected": seen.mongo_connected,
        "uptime": seen.uptime,
        "message": seen.message,
        "errors": dict(seen.errors),
        "watchers": [
            {
                "mode": state.mode,
                "state": "active" if state.is_active else "idle",
                "filesWatched": state.files,
                "queued": state.queued,
                "foldersPolled": state.polled,
                "note": state.note,
            }
            for state in seen.roots.values()
        ],
        "filesWatched": sum(state.files for state in seen.roots.values()),
        "lastEvents": [
            {"event": each.event, "file": each.file, "timestamp": each.at.isoformat()}
            for each in seen.last_events
        ],
        "eventsPerMinute": seen.events_per_minute,
        "avgProcessingTime": seen.average_ms,
        "lag": dict(seen.lag),
        "lagBytes": seen.lag_bytes,
        "bufferBytes": seen.figures.bytes,
        "deadLetters": seen.dead_letters,
        "circuit": seen.circuit,
        "watchMissedTotal": seen.missed,
        "bytesVerified": seen.bytes_verified,
        "pipeline": _pipeline(seen.pipeline),
    }


def _pipeline(asked: Asked | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    return {
        "state": asked.state,
        "runs": asked.runs,
        "failures": asked.failures,
        "busy": asked.busy,
        "lastError": asked.last_error,
        "lastRunSeconds": asked.last_run_seconds,
        "waitingSeconds": round(asked.seconds, 3),
    }


class _Handler(GuardedHandler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 -- the library's name
        """Answer one request."""
        endpoint = ENDPOINTS.get(self.path.partition("?")[0])
        if endpoint is None:
            names = ", ".join(ENDPOINTS)
            self._send((HTTPStatus.NOT_FOUND, _JSON, json_text({"error": f"try {names}"})))
        else:
            self._send(endpoint(self.server.observer.look()))

    do_HEAD = do_GET  # noqa: N815 -- the library's name

    def _send(self, answer: Answer) -> None:
        status, kind, text = answer
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(BoundedServer):
    observer: Observer


def serve(settings: Settings, observer: Observer) -> tuple[str, int] | None:
    """Answer on HEALTH_PORT from now on; return address and port, None where it is 0.

    Raises OSError where the port cannot be had.
    """
    if not settings.health_port:
        return None
    server = _Server((settings.health_host, settings.health_port), _Handler)
    server.observer = observer
    server.hosts = bound_names(settings.health_host, settings.allowed_hosts)
    # A daemon: it holds nothing that would have to be put in order at the end.
    threading.Thread(target=_answer, args=(server,), name="health", daemon=True).start()
    return settings.health_host, server.server_port


def _answer(server: _Server) -> None:
    """Answer indefinitely, without waking up for nothing as ``serve_forever`` does."""
    while True:
        server.handle_request()
