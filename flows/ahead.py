"""A process that works ahead of the command line's own: it gets dbt ready, and runs it.

Importing dbt and parsing the project takes longer than a small batch takes in all. The process is
started when there is something new, holds the pipeline's lock with the first process, serves
only that process, and ends with it, even if that is killed (docs/adr/0012, 0041).
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Self

from annals.errors import DependencyError
from annals.process.environments import child_environment, work_folder
from annals.resources import ROOT
from annals.settings import Settings
from annals.telemetry import Progress

if TYPE_CHECKING:
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport

_PATIENCE_SECONDS = 5.0
BEGIN = "import sys; sys.path.append(sys.argv[1]); from flows.ahead_tasks import main; main()"
"""How a process begins: with this very program, whatever lies in the folder it is started in."""

_QUIET = "ignore:resource_tracker:UserWarning"
"""A process that is ended at once leaves semaphores, which their tracker removes."""


class Ahead:
    """The process, started by :meth:`begin` and ended with the context.

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
        """End the process; it has touched nothing unless it was asked to."""
        self.end()

    @property
    def has_begun(self) -> bool:
        """Whether the process was started."""
        return self._process is not None

    def begin(self) -> None:
        """Start the process, once; later calls do nothing."""
        if self._process is not None:
            return
        ours, theirs = Pipe()
        with theirs, _deaf_to_interrupts():
            self._connection = ours
            words = (str(ROOT), str(theirs.fileno()))
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-P", "-W", _QUIET, "-c", BEGIN, *words],
                pass_fds=(theirs.fileno(), self._lock),
                env=child_environment(),
                cwd=work_folder(self._settings.annals_home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # build() reports it
            ours.send(self._settings)

    def end(self) -> None:
        """End the process; what it committed is kept."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def build(self, progress: Progress) -> tuple[TransformReport, PublishReport]:
        """Let it transform and publish, and pass its progress on; raises what they raise.

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


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start a child that no Ctrl-C reaches: the first process decides, and closes the pipe."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Announced:
    """A progress that begins the other process when the first work is reported."""

    def __init__(self, progress: Progress, ahead: Ahead) -> None:
        self._progress = progress
        self._ahead = ahead

    def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
        """Begin, and pass the report on."""
        self._ahead.begin()
        self._progress.report(stage, done, total, unit=unit)
