"""What the processes ahead of the command line's own do: land records, or run dbt.

They are started by :mod:`flows.ahead`, and run the same stages as it does.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from annals.errors import AnalyticsError
from annals.process.streams import prepare_streams
from annals.settings import Settings
from annals.telemetry import Progress
from flows.stages import extract_and_load, transform_and_publish

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from extractors.local import LocalSource
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport

_LOOK_SECONDS = 0.1
ROUND_RECORDS = 25_000
"""Records that are worth a snapshot of their own while more are being read."""


class _Piped:
    """A progress that is shown by the first process, once that has said that it is time."""

    def __init__(self, connection: Connection, wanted: threading.Event) -> None:
        self._connection = connection
        self._wanted = wanted

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Send the report."""
        if self._wanted.is_set():
            self._connection.send(("progress", (stage, done, total, unit)))


def serve(task: str, connection: Connection) -> None:
    """Do ``task`` for the process at the other end, and send what came of it."""
    try:
        settings = connection.recv()
    except (EOFError, OSError):  # an interrupt ended the other process before it sent anything
        os._exit(1)
    wanted = threading.Event()
    threading.Thread(target=_listen, args=(connection, wanted), daemon=True).start()
    answer: tuple[str, Any]
    try:
        answer = ("done", _TASKS[task](settings, wanted, _Piped(connection, wanted)))
    except BaseException as error:  # noqa: BLE001 - the edge of this process: the other one raises it
        answer = ("failed", _portable(error))
    wanted.wait()
    connection.send(answer)
    logging.shutdown()
    os._exit(0)  # without taking apart, for half a second, what was imported


def _listen(connection: Connection, wanted: threading.Event) -> None:
    """Wait for the word; end this process as a kill would when the first one is gone."""
    while True:
        try:
            connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        wanted.set()


def land(
    settings: Settings, wanted: threading.Event, progress: Progress
) -> tuple[ExtractReport, LoadReport]:
    """Extract while the buffer fills, in few large rounds, and the rest when it is full; load.

    Where records take the way over a server, there is nothing to extract before they are shipped.
    """
    from extractors.extract import extract
    from extractors.local import LocalSource

    source = LocalSource(settings.sqlite_path)
    rounds = []
    seen = _held(source)
    while not wanted.wait(_LOOK_SECONDS):
        held = seen if settings.mongo_uri else _held(source)
        if held - seen >= ROUND_RECORDS:
            seen = held
            rounds.append(extract(settings))
    last, loaded = extract_and_load(settings, progress)
    for earlier in rounds:
        last = last.with_earlier(earlier)
    return last, loaded


def _held(source: LocalSource) -> int:
    """Return how many records the buffer ever held; 0 while there is none yet."""
    try:
        return sum(source.committed().values())
    except AnalyticsError:
        return 0


def _build(
    settings: Settings, wanted: threading.Event, progress: Progress
) -> tuple[TransformReport, PublishReport]:
    """Prepare dbt, wait, and run transform and publish."""
    from loaders import dbt_project

    dbt_project.prepare(settings)
    wanted.wait()
    return transform_and_publish(settings, progress)


_TASKS: dict[str, Callable[[Settings, threading.Event, Progress], Any]] = {
    "land": land,
    "build": _build,
}


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever its class does when it is pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def main() -> None:
    """Serve the process whose end of the pipe the arguments name."""
    prepare_streams()
    _, _, task, descriptor = sys.argv
    serve(task, Connection(int(descriptor)))
