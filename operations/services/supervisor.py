"""``up``: start all services in order, keep them running, and end them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from logging import Formatter, LogRecord
from logging.handlers import RotatingFileHandler
from types import FrameType

from annals.access import claim_state
from annals.files import make_folder, open_log
from annals.locks import exclusive
from annals.process.ending import EndRequest
from annals.process.environments import work_folder
from annals.settings import Settings
from annals.settings.destinations import KINDS, require_allowed
from annals.text import one_line
from flows.running_services import (
    ServiceState,
    State,
    end_leftovers,
    folder_of,
    lock_of,
    log_of,
    read_state,
    write_state,
)
from operations.services.preflight import (
    keep_old_database,
    require_known_mongo,
    require_ports,
    require_prefect,
    require_space,
)
from operations.services.running import Running
from operations.services.services import Platform, platform_of

ROLE = "up"
_TURN_SECONDS, _REST_SECONDS = 0.2, 1.0
_LATE_SECONDS = 10.0
_LOG_BYTES, _LOGS_KEPT = 10_000_000, 3
_LAST = ("agent", "docs", "prefect")
"""The order of the end: first what works, last what they report to."""

Show = Callable[[State], None]
"""Is told once when everything is healthy."""


def up(settings: Settings, *, show: Show, quiet: bool = False) -> None:
    """Run the platform until a signal asks for its end; everything is said with a prefix.

    Raises LockedError (exit 7) where it runs already or another program has one of its ports,
    SettingsError without Prefect and with settings that no service of it can begin with,
    DiskFullError with too little space.
    """
    require_prefect()
    require_known_mongo(settings)
    require_allowed(settings, *KINDS)
    claim_state(settings)
    make_folder(folder_of(settings))
    with (
        exclusive(lock_of(settings), role=ROLE, what="the platform"),
        _log(settings, quiet=quiet) as say,
    ):
        require_space(settings, lambda text: say("up", text))
        for name in end_leftovers(read_state(settings)):
            say("up", f"{name} was left by a supervisor that died; it is ended")
        platform = platform_of(settings)
        require_ports(platform)
        copy = keep_old_database(settings)
        if copy is not None:
            say("up", f"Prefect has another version than before; its old database is {copy}")
        Supervisor(settings, platform, say=say, show=show).run()


class Supervisor:
    """The services of a platform, from their start to their end."""

    def __init__(
        self,
        settings: Settings,
        platform: Platform,
        *,
        say: Callable[[str, str], None],
        show: Show,
    ) -> None:
        self._settings = settings
        self._elsewhere = [
            ServiceState(name, "elsewhere", who) for name, who in platform.elsewhere.items()
        ]
        folder = work_folder(settings.annals_home)
        self._running = {one.name: Running(one, say, folder) for one in platform.services}
        self._say = say
        self._show = show
        self._ending = EndRequest()

    def run(self) -> None:
        """Start, keep running, and end when SIGTERM, SIGINT or SIGHUP come.

        Raises SettingsError of a service that cannot begin for its settings, unless everything was
        healthy before: then it goes on trying, and the others go on working.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        noted, shown = None, False
        try:
            while not self._ending.is_asked():
                self._turn()
                state = self._state()
                if state != noted:
                    write_state(self._settings, state)
                    noted = state
                if state.is_healthy and not shown:
                    self._show(state)
                    shown = True
                if not shown:
                    self._require_settings()
                self._rest(_REST_SECONDS if state.is_healthy else _TURN_SECONDS)
        finally:
            self._end()

    def _require_settings(self) -> None:
        for running in self._running.values():
            if (error := running.refusal) is not None:
                raise error

    def _rest(self, seconds: float) -> None:
        """Wait; where that took far longer the machine slept, or we were stopped, and not they."""
        began = time.monotonic()
        self._ending.wait(seconds)
        if time.monotonic() - began > seconds + _LATE_SECONDS:
            for running in self._running.values():
                running.reset_failures()

    def _turn(self) -> None:
        for running in self._running.values():
            if all(self._running[name].is_healthy for name in running.service.after) or (
                running.state.pid is not None
            ):
                running.look()
            if self._ending.is_asked():
                return

    def _state(self) -> State:
        states = [running.state for running in self._running.values()]
        return State(os.getpid(), (*states, *self._elsewhere))

    def _end(self) -> None:
        names = sorted(self._running, key=lambda name: name in _LAST and _LAST.index(name) + 1)
        for name in names:
            started = time.monotonic()
            self._running[name].end()
            seconds = time.monotonic() - started
            if seconds > 1:
                self._say("up", f"{name} ended after {seconds:.0f} s")
        stopped = tuple(
            ServiceState(one.service.name, "stopped", one.service.address)
            for one in self._running.values()
        )
        write_state(self._settings, State(0, stopped))
        self._say("up", "all services are stopped; nothing is lost")

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._ending.ask()


@contextlib.contextmanager
def _log(settings: Settings, *, quiet: bool) -> Iterator[Callable[[str, str], None]]:
    """Yield what takes a line of a service: to a file that is rotated, and to standard error."""
    open_log(log_of(settings))
    file = RotatingFileHandler(
        log_of(settings), maxBytes=_LOG_BYTES, backupCount=_LOGS_KEPT, encoding="utf-8"
    )
    file.setFormatter(Formatter("%(asctime)s %(message)s"))

    def say(name: str, text: str) -> None:
        line = one_line(f"{name:<8}| {text}")
        file.handle(LogRecord("up", 20, "", 0, line, None, None))
        if not quiet:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()

    with contextlib.closing(file):
        yield say
