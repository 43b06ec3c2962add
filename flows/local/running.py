"""One service as a process: started, listened to, asked how it is, started again, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from flows.local.services import Service
from flows.local.state import ServiceState, birth_of

_BACK_OFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0
_ASK_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 30.0

Say = Callable[[str, str], None]
"""Takes the name of a service and a line that it said."""


class Running:
    """A service and its process; :meth:`look`, called again and again, is what starts it."""

    def __init__(self, service: Service, say: Say) -> None:
        self.service = service
        self.is_healthy = False
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._restarts = 0
        self._failures = 0
        self._started_at = 0.0
        self._next_start = 0.0
        self._next_question = 0.0
        self._birth: str | None = None

    @property
    def state(self) -> ServiceState:
        """The service as others may see it."""
        alive = self._process is not None and self._process.poll() is None
        word = "starting"
        if self.is_healthy:
            word = "healthy"
        elif self._failures:
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
        """Start the process where it does not run; ask whether it is healthy when it is time."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start:
                self._start(now)
            return
        code = self._process.poll()
        if code is not None:
            self._ended(code, now)
        elif now >= self._next_question:
            self.is_healthy = self.service.is_healthy()
            pause = _ASK_AGAIN_SECONDS if self.is_healthy else _ASK_SECONDS
            self._next_question = time.monotonic() + pause
            if self.is_healthy and now - self._started_at > _STEADY_SECONDS:
                self._failures = 0

    def end(self) -> None:
        """End the process and its children, and wait; by force where that takes too long."""
        process = self._process
        if process is None:
            return
        for number, seconds in ((signal.SIGTERM, self.service.stop_seconds), (signal.SIGKILL, 10)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            if process.returncode is not None:
                return
            if number == signal.SIGTERM:
                self._say("up", f"{self.service.name} does not end; it is killed")

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own commands
            self.service.command,
            env=dict(self.service.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
        )
        self._birth = birth_of(self._process.pid)
        self._started_at = now
        self._next_question = 0.0
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            if line.strip():
                self._say(self.service.name, line.rstrip())

    def _ended(self, code: int, now: float) -> None:
        """Note that the process is gone; where that was not its end, start it again later."""
        if self.service.runs_once and code == 0:
            self.is_healthy = True
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid if self._process else 0, signal.SIGKILL)  # its children
        self._process, self.is_healthy = None, False
        pause = _BACK_OFF_SECONDS[min(self._failures, len(_BACK_OFF_SECONDS) - 1)]
        self._failures += 1
        self._restarts += 1
        self._next_start = now + pause
        self._say("up", f"{self.service.name} ended with status {code}; again in {pause:.0f} s")
