"""A second process that gets dbt ready while the first one still reads and extracts.

Importing dbt and parsing the project take longer than a small batch takes in all. So the command
line starts this process as soon as there is something new; it prepares, waits, and then does
transform and publish in the first one's place. It holds the pipeline's lock with it, answers to
nobody else and ends when the first one ends, however that happens.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from analytics.errors import DependencyError
from analytics.settings import Settings
from analytics.telemetry import Progress

if TYPE_CHECKING:
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport

_PATIENCE_SECONDS = 5.0


class Ahead:
    """The second process, started by :meth:`begin` and ended with the context.

    ``lock`` is the descriptor of the pipeline's lock.
    """

    def __init__(self, settings: Settings, lock: int) -> None:
        self._settings = settings
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Return this; nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process; where it was not asked to finish, it has touched nothing."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def has_begun(self) -> bool:
        """Whether the process was started."""
        return self._process is not None

    def begin(self) -> None:
        """Start the process, once; later calls do nothing."""
        if self._process is not None:
            return
        ours, theirs = Pipe()
        with theirs:
            self._connection = ours
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-m", "flows.ahead", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), self._lock),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
            )
        ours.send(self._settings)

    def finish(self, progress: Progress) -> tuple[TransformReport, PublishReport]:
        """Let the process do transform and publish; raises what they raise there.

        Raises DependencyError (exit 4) where the process died: what it had committed is kept.
        """
        assert self._connection is not None  # noqa: S101 - begin() comes first
        with self._explained():
            self._connection.send("go")
            while True:
                kind, answer = self._connection.recv()
                if kind == "progress":
                    stage, done, total, unit = answer
                    progress.report(stage, done, total, unit=unit)
                elif kind == "failed":
                    raise answer
                else:
                    reports: tuple[TransformReport, PublishReport] = answer
                    return reports

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            code = self._process.wait() if self._process else None
            raise DependencyError(
                f"the process that runs dbt died (exit status {code})",
                hint="Run the command again, it goes on where this one stopped; -9 often means that"
                " memory ran out: lower DUCKDB_MEMORY_LIMIT.",
                exit_status=code,
            ) from error


class Announced:
    """A progress that begins the second process when the first work is reported."""

    def __init__(self, progress: Progress, ahead: Ahead) -> None:
        self._progress = progress
        self._ahead = ahead

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Begin, and pass the report on."""
        self._ahead.begin()
        self._progress.report(stage, done, total, unit=unit)


class _Piped:
    """A progress that is shown by the first process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Send the report."""
        self._connection.send(("progress", (stage, done, total, unit)))


def serve(connection: Connection) -> None:
    """Prepare, wait for the word, run transform and publish, and send what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides, and closes the pipe
    settings = connection.recv()
    wanted = threading.Event()
    threading.Thread(target=_listen, args=(connection, wanted), daemon=True).start()
    from loaders import dbt_project

    dbt_project.prepare(settings)
    wanted.wait()
    answer: tuple[str, Any]
    try:
        answer = ("done", _run(settings, _Piped(connection)))
    except BaseException as error:  # noqa: BLE001 - the edge of this process: the other one raises it
        answer = ("failed", _portable(error))
    connection.send(answer)


def _listen(connection: Connection, wanted: threading.Event) -> None:
    """Wait for the word; end this process as a kill would when the first one is gone."""
    while True:
        try:
            connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        wanted.set()


def _run(settings: Settings, progress: Progress) -> tuple[TransformReport, PublishReport]:
    from flows.stages import transform_and_publish

    return transform_and_publish(settings, progress)


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever its class does when it is pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
