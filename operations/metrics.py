"""What the pipeline did last, as metrics that Prometheus reads.

``python -m operations.metrics`` answers on ``/metrics`` from the notes and folders that the
pipeline leaves; it opens no database and takes no lock.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from threading import Thread
from typing import Any, NamedTuple

from annals.errors import DependencyError
from annals.guard import bound_names
from annals.http_server import BoundedServer, GuardedHandler
from annals.process.program import exit_code_of
from annals.settings import Settings, load_settings
from annals.settings.files import use_settings_file
from annals.telemetry.exposition import CONTENT_TYPE, Metric, Samples, exposition
from flows.history import last_run


class Seen(NamedTuple):
    """What the metrics are read from: the settings, and the note of the last run."""

    settings: Settings
    run: Mapping[str, Any]


def _started(seen: Seen) -> Samples:
    if seen.run:
        yield {}, datetime.fromisoformat(str(seen.run["started_at"])).timestamp()


def _seconds(seen: Seen) -> Samples:
    if seen.run:
        yield {}, float(seen.run.get("seconds", 0))


def _succeeded(seen: Seen) -> Samples:
    if seen.run:
        yield {}, float(seen.run.get("outcome") == "ok")


def _counters(seen: Seen) -> Samples:
    for name, value in sorted(dict(seen.run.get("counters") or {}).items()):
        yield {"counter": name}, float(value)


def _published(seen: Seen) -> Samples:
    current = seen.settings.builds_folder / "current"
    if current.is_symlink():
        yield {}, current.lstat().st_mtime


def _free(seen: Seen) -> Samples:
    places = {"state": seen.settings.annals_home, "published": seen.settings.builds_folder}
    for name, path in places.items():
        if path.exists():
            yield {"place": name}, float(shutil.disk_usage(path).free)


METRICS: tuple[Metric[Seen], ...] = (
    Metric("annals_run_started_timestamp_seconds", "gauge", "When the last run began.", _started),
    Metric("annals_run_duration_seconds", "gauge", "How long the last run took.", _seconds),
    Metric(
        "annals_run_succeeded", "gauge", "1 if the last run did everything, else 0.", _succeeded
    ),
    Metric("annals_run_counter", "gauge", "What the last run did, by counter.", _counters),
    Metric(
        "annals_build_timestamp_seconds",
        "gauge",
        "When the build in force was published.",
        _published,
    ),
    Metric("annals_disk_free_bytes", "gauge", "Bytes free where the pipeline writes.", _free),
)


class _Handler(GuardedHandler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 -- the library's name
        """Answer with every metric, whatever the path."""
        settings = self.server.settings
        text = exposition(METRICS, lambda: Seen(settings, last_run(settings) or {}))
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 -- the library's name


class _Server(BoundedServer):
    settings: Settings


def serve(settings: Settings, *, host: str, port: int) -> tuple[BoundedServer, Thread]:
    """Answer with the metrics from now on, in a thread; what is not there yet is left out.

    Raises DependencyError (exit 4) where the port cannot be had.
    """
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise DependencyError(
            f"port {port} cannot be had: {error.strerror}",
            hint="Stop what uses it, or give another one with --port.",
        ) from error
    server.settings = settings
    server.hosts = bound_names(host, settings.allowed_hosts)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    return server, thread


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until the process is stopped; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9095)
    parser.add_argument("--env-file", metavar="FILE", type=use_settings_file)
    given = parser.parse_args(arguments)

    def work() -> None:
        _server, thread = serve(load_settings(), host=given.host, port=given.port)
        thread.join()

    return exit_code_of(work)


if __name__ == "__main__":
    sys.exit(main())
