"""What the process ahead of the command line's own does: prepare dbt, wait, and run it.

It is started by :mod:`flows.ahead`, and runs the same stages as it does.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from annals.process.streams import prepare_streams
from annals.settings import Settings
from annals.telemetry import Progress
from flows.stages import transform_and_publish

if TYPE_CHECKING:
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport


class _Piped:
    """A progress that is shown by the first process, once that has said that it is time."""

    def __init__(self, connection: Connection, wanted: threading.Event) -> None:
        self._connection = connection
        self._wanted = wanted

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Send the report."""
        if self._wanted.is_set():
            self._connection.send(("progress", (stage, done, total, unit)))


def serve(connection: Connection) -> None:
    """Build for the process at the other end, and send what came of it."""
    try:
        settings = connection.recv()
    except (EOFError, OSError):  # an interrupt ended the other process before it sent anything
        os._exit(1)
    wanted = threading.Event()
    threading.Thread(target=_listen, args=(connection, wanted), daemon=True).start()
    answer: tuple[str, Any]
    try:
        answer = ("done", _build(settings, wanted, _Piped(connection, wanted)))
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


def _build(
    settings: Settings, wanted: threading.Event, progress: Progress
) -> tuple[TransformReport, PublishReport]:
    """Prepare dbt, wait, and run transform and publish."""
    from loaders import dbt_project

    dbt_project.prepare(settings)
    wanted.wait()
    return transform_and_publish(settings, progress)


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever its class does when it is pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def main() -> None:
    """Serve the process whose end of the pipe the arguments name."""
    prepare_streams()
    serve(Connection(int(sys.argv[2])))
