"""``up --detach``: the supervisor as a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

from annals.access import claim_state
from annals.errors import AnalyticsError, PartialError
from annals.files import make_folder, open_state_file
from annals.locks import read_holder
from annals.process.environments import child_environment, module_command, work_folder
from annals.settings import Settings
from annals.settings.passing import as_environment
from flows.running_services import State, folder_of, lock_of, log_of, read_state
from operations.services.preflight import require_known_mongo, require_prefect

_LOOK_SECONDS = 0.2


def start_detached(settings: Settings, *, timeout: float, tell: Callable[[str], None]) -> State:
    """Start the supervisor so that it stays, and return when everything is healthy.

    Raises PartialError (exit 6) where that takes longer than ``timeout`` seconds, and the error
    with which the supervisor ended where it could not begin. In no case it returns before the
    supervisor has its lock: ``down`` would not find it. ``tell`` takes a line for each service that
    gets healthy.
    """
    require_prefect()
    require_known_mongo(settings)  # here it is known where it was set
    claim_state(settings)
    told = make_folder(folder_of(settings)) / "start.log"
    descriptor = open_state_file(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- this very program
            module_command("analytics.cli", "up", "--quiet"),
            env=child_environment(as_environment(settings)),
            cwd=work_folder(settings.annals_home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
    until = time.monotonic() + timeout
    news = _News(tell)
    while time.monotonic() < until or not _has_lock(settings, process.pid):
        code = process.poll()
        if code is not None:
            raise _refused(told.read_text(encoding="utf-8", errors="replace"), code)
        state = read_state(settings)
        if state is not None and state.pid == process.pid:
            news.hear(state)
            if state.is_healthy:
                return state
        time.sleep(_LOOK_SECONDS)
    raise PartialError(
        f"not everything is healthy after {timeout:.0f} s; it goes on trying",
        hint=f"{log_of(settings)} says why; `annals down` ends it.",
        log=log_of(settings),
    )


class _News:
    """Reports each service once that it is healthy."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._began = time.monotonic()
        self._told: set[str] = set()

    def hear(self, state: State) -> None:
        """Tell of the services that were not healthy before."""
        for service in state.services:
            if service.state == "healthy" and service.name not in self._told:
                self._told.add(service.name)
                seconds = time.monotonic() - self._began
                self._tell(f"{service.name} is healthy after {seconds:.0f} s")


def _has_lock(settings: Settings, pid: int) -> bool:
    """Return whether that live process has the lock; without a probe, which could keep it out."""
    holder = read_holder(lock_of(settings))
    return holder is not None and holder.pid == pid


def _refused(said: str, code: int) -> AnalyticsError:
    """Return the supervisor's own error, with its exit code."""
    lines = [line for line in said.splitlines() if line.strip()]
    texts = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
    kinds = {kind.exit_code: kind for kind in reversed(AnalyticsError.__subclasses__())}
    return kinds.get(code, AnalyticsError)(
        texts.get("error", f"it ended with status {code}"),
        hint=texts.get("hint", "Run `annals up` without --detach to see more."),
    )
