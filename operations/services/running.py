"""One service as a process: started, listened to, asked how it is, started again, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from annals.errors import SettingsError
from flows.running_services import ServiceState, birth_of
from operations.services.asking import Answer
from operations.services.services import Service

_BACK_OFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0
_START_SECONDS = 300.0
"""A start may take that long: the server brings an older database to its version, for example."""
_LEAST_QUESTIONS = 3
_ASK_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 15.0
_ASK_SILENT_SECONDS = 5.0
_REFUSALS = 2
_LINES_KEPT = 20
_LISTEN_SECONDS = 2.0

Say = Callable[[str, str], None]
"""Takes the name of a service and a line that it said."""


class Running:
    """A service and its process, which starts in ``folder``.

    :meth:`look`, called again and again, is what starts it.
    """

    def __init__(self, service: Service, say: Say, folder: Path) -> None:
        self.service = service
        self._folder = folder
        self.is_healthy = False
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._restarts = 0
        self._failures = 0
        self._started_at = 0.0
        self._next_start = 0.0
        self._next_question = 0.0
        self._birth: str | None = None
        self._was_healthy = False
        self._unanswered = 0
        self._alive_at = 0.0
        self._kill_at: float | None = None
        self._listener: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._refusals = 0

    @property
    def refusal(self) -> SettingsError | None:
        """The error of a service that ends for its settings every time: no restart mends it.

        Once may be a server that was not ready yet.
        """
        if self._refusals < _REFUSALS:
            return None
        said = {line.partition(": ")[0]: line.partition(": ")[2] for line in self._lines}
        return SettingsError(
            f"{self.service.name}: {said.get('error', 'it ended for its settings')}",
            hint=said.get("hint", "Correct the settings; the log of `annals up` says more."),
        )

    @property
    def state(self) -> ServiceState:
        """The service as others may see it."""
        alive = self._process is not None and self._process.poll() is None
        word = "starting"
        if self.is_healthy:
            word = "healthy"
        elif self._failures or self._was_healthy:
            word = "failing"
        return ServiceState(
            name=self.service.name,
            state=word,
            address=self.service.address,
            pid=self._process.pid if alive and self._process else None,
            birth=self._birth if alive else None,
            restarts=self._restarts,
        )

    def look(self) -> None:
        """Start the process where it does not run; ask how it is when it is time."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start:
                self._start(now)
            return
        code = self._process.poll()
        if code is not None:
            self._ended(code, now)
        elif self._kill_at is not None:
            if now >= self._kill_at:
                self._signal(signal.SIGKILL)
        elif now >= self._next_question:
            self._ask()

    def reset_failures(self) -> None:
        """Count silence again: the supervisor itself was stopped, or the machine slept."""
        self._unanswered = 0
        self._alive_at = time.monotonic()

    def end(self) -> None:
        """End the process and its children, and wait; by force where that takes too long."""
        process = self._process
        if process is None:
            return
        for number, seconds in ((signal.SIGTERM, self.service.stop_seconds), (signal.SIGKILL, 10)):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            if process.returncode is not None:
                return
            if number == signal.SIGTERM:
                self._say("up", f"{self.service.name} does not end; it is killed")

    def _ask(self) -> None:
        """Ask how the process is; have it ended where it has been silent for too long."""
        answer = self.service.ask() if self.service.ask else Answer.SILENT
        now = time.monotonic()
        self.is_healthy = answer is Answer.HEALTHY
        if self.is_healthy:
            if not self._was_healthy:
                seconds = now - self._started_at
                self._say("up", f"{self.service.name} is healthy after {seconds:.0f} s")
            self._was_healthy = True
            self._refusals = 0
            if now - self._started_at > _STEADY_SECONDS:
                self._failures = 0
        if answer is Answer.SILENT:
            self._unanswered += 1
        else:
            self.reset_failures()
        patience = self.service.patience if self._was_healthy else _START_SECONDS
        silent = now - self._alive_at
        if self._unanswered >= _LEAST_QUESTIONS and silent >= patience:
            self._say(
                "up",
                f"{self.service.name} has not been healthy for {silent:.0f} s; it is started again",
            )
            self._signal(signal.SIGTERM)
            self._kill_at = now + self.service.stop_seconds
        pause = _ASK_SILENT_SECONDS if self._was_healthy else _ASK_SECONDS
        self._next_question = now + (_ASK_AGAIN_SECONDS if self.is_healthy else pause)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; one that is stopped takes it too."""
        if self._process is not None:
            for each in (number, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, each)

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own commands
            self.service.command,
            env=dict(self.service.environment),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
        )
        self._birth = birth_of(self._process.pid)
        self._started_at = self._alive_at = now
        self._next_question = 0.0
        self._was_healthy, self._unanswered, self._kill_at = False, 0, None
        self._lines.clear()
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        with process.stdout or contextlib.nullcontext(()) as said:
            for line in said:
                if line.strip():
                    self._lines.append(line.rstrip())
                    self._say(self.service.name, line.rstrip())

    def _ended(self, code: int, now: float) -> None:
        """Note that the process is gone; where that was not its end, start it again later."""
        if self.service.ask is None and code == 0:
            self.is_healthy = True
            return
        self._signal(signal.SIGKILL)  # its children
        if self._listener is not None:
            self._listener.join(_LISTEN_SECONDS)
        self._process, self.is_healthy = None, False
        self._refusals = self._refusals + 1 if code == SettingsError.exit_code else 0
        pause = _BACK_OFF_SECONDS[min(self._failures, len(_BACK_OFF_SECONDS) - 1)]
        self._failures += 1
        self._restarts += 1
        self._next_start = now + pause
        self._say("up", f"{self.service.name} ended with status {code}; again in {pause:.0f} s")
