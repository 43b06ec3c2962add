"""What the pipeline did last, as metrics that Prometheus reads.

``python -m flows.metrics`` answers on ``/metrics`` from the notes and folders that the pipeline
leaves; it opens no database and takes no lock.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from analytics.errors import AnalyticsError, DependencyError
from analytics.settings import Settings, load_settings
from flows.history import last_run

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterator[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: ``read`` yields its samples, each with the text of its labels."""

    name: str
    meaning: str
    read: Callable[[Settings, Mapping[str, Any]], Samples]


def _started(_settings: Settings, run: Mapping[str, Any]) -> Samples:
    if run:
        yield "", datetime.fromisoformat(str(run["started_at"])).timestamp()


def _seconds(_settings: Settings, run: Mapping[str, Any]) -> Samples:
    if run:
        yield "", float(run.get("seconds", 0))


def _succeeded(_settings: Settings, run: Mapping[str, Any]) -> Samples:
    if run:
        yield "", float(run.get("outcome") == "ok")


def _counters(_settings: Settings, run: Mapping[str, Any]) -> Samples:
    for name, value in sorted(dict(run.get("counters") or {}).items()):
        yield f'counter="{name}"', float(value)


def _published(settings: Settings, _run: Mapping[str, Any]) -> Samples:
    current = settings.builds_folder / "current"
    if current.is_symlink():
        yield "", current.lstat().st_mtime


def _free(settings: Settings, _run: Mapping[str, Any]) -> Samples:
    for name, path in (("state", settings.annals_home), ("published", settings.builds_folder)):
        if path.exists():
            yield f'place="{name}"', float(shutil.disk_usage(path).free)


GAUGES = (
    Gauge("annals_run_started_timestamp_seconds", "When the last run began.", _started),
    Gauge("annals_run_duration_seconds", "How long the last run took.", _seconds),
    Gauge("annals_run_succeeded", "1 where the last run ended well, else 0.", _succeeded),
    Gauge("annals_run_counter", "What the last run did, by counter.", _counters),
    Gauge("annals_build_timestamp_seconds", "When the build in force was published.", _published),
    Gauge("annals_disk_free_bytes", "Bytes free where the pipeline writes.", _free),
)


def exposition(settings: Settings) -> str:
    """Return every metric; what is not there yet is left out."""
    run = last_run(settings) or {}
    lines = []
    for gauge in GAUGES:
        lines += [f"# HELP {gauge.name} {gauge.meaning}", f"# TYPE {gauge.name} gauge"]
        for labels, value in gauge.read(settings, run):
            lines.append(
                f"{gauge.name}{{{labels}}} {value!r}" if labels else f"{gauge.name} {value!r}"
            )
    return "\n".join(lines) + "\n"


def serve(settings: Settings, *, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of ``/metrics``, bound and not started yet.

    Raises DependencyError (exit 4) where the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version = "annals"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer one request."""
            is_known = self.path.partition("?")[0] == "/metrics"
            body = exposition(settings).encode() if is_known else b"try /metrics\n"
            self.send_response(HTTPStatus.OK if is_known else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's name
            """Log no request."""

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise DependencyError(
            f"port {port} cannot be had: {error.strerror}",
            hint="Stop what uses it, or give another one with --port.",
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until the process is stopped; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9095)
    given = parser.parse_args(arguments)
    try:
        with serve(load_settings(), host=given.host, port=given.port) as server:
            server.serve_forever()
    except AnalyticsError as error:
        sys.stderr.write(f"error: {error.message}\nhint: {error.hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
