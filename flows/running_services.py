"""What runs, noted in a file: for ``up`` again, for ``down``, and after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from annals.files import read_state_text, replace_text
from annals.limits import parse_json
from annals.settings import Settings

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_STARTED_AT = 19
"""Place of a process's start time in /proc/PID/stat, counted after its name."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service.

    ``state`` is starting, healthy, failing (it does not answer as it should, or is started again),
    elsewhere (it runs, and not from here) or stopped. ``birth`` tells its process from a later one
    with the same number.
    """

    name: str
    state: str
    address: str
    pid: int | None = None
    birth: str | None = None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """All services, and the supervisor that runs them."""

    pid: int
    services: tuple[ServiceState, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether every service is, and there is one."""
        return bool(self.services) and all(
            service.state in ("healthy", "elsewhere") for service in self.services
        )


def folder_of(settings: Settings) -> Path:
    """Return the folder of the platform's own files."""
    return settings.annals_home / "platform"


def lock_of(settings: Settings) -> Path:
    """Return the lock that the one supervisor holds."""
    return folder_of(settings) / "up.lock"


def log_of(settings: Settings) -> Path:
    """Return the file that everything the services say is written to."""
    return folder_of(settings) / "up.log"


def read_state(settings: Settings) -> State | None:
    """Return the state noted last, or None where there is none that can be read."""
    try:
        noted = parse_json(read_state_text(folder_of(settings) / "up.json"))
        services = tuple(ServiceState(**service) for service in noted["services"])
        return State(int(noted["pid"]), services)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_state(settings: Settings, state: State) -> None:
    """Note the state."""
    path = folder_of(settings) / "up.json"
    replace_text(path, json.dumps(asdict(state)))


def birth_of(pid: int) -> str | None:
    """Return when a process was started, as its system counts; None if nobody can tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return status.rpartition(")")[2].split()[_STARTED_AT]


def end_leftovers(state: State | None) -> list[str]:
    """End what a supervisor that was killed has left running; return the names.

    Only processes that are surely those: same number, same time of start.
    """
    left = []
    for service in state.services if state else ():
        if service.pid and service.birth and birth_of(service.pid) == service.birth:
            left.append(service.name)
            end_group(service.pid)
    return left


def end_group(pid: int) -> None:
    """End a process and its children: politely, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        until = time.monotonic() + _PATIENCE_SECONDS
        while birth_of(pid) is not None and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        if birth_of(pid) is None:
            return
