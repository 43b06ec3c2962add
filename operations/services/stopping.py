"""``down``: tell the supervisor to end, and wait until it has."""

from __future__ import annotations

import os
import signal
import time

from annals.errors import PartialError
from annals.locks import held_by
from annals.settings import Settings
from flows.running_services import end_leftovers, lock_of, read_state

_LOOK_SECONDS = 0.1


def down(settings: Settings, *, timeout: float) -> list[str]:
    """End the platform; return the names of what was stopped, none where it did not run.

    A run under way is ended: what its stages committed stays, the next one does the rest. Raises
    PartialError (exit 6) where that takes longer than ``timeout`` seconds; it goes on ending.
    """
    state = read_state(settings)
    holder = held_by(lock_of(settings))
    if holder is None:
        return end_leftovers(state)
    os.kill(holder.pid, signal.SIGTERM)
    until = time.monotonic() + timeout
    while held_by(lock_of(settings)) is not None:
        if time.monotonic() >= until:
            raise PartialError(
                f"the platform (pid {holder.pid}) is still ending",
                hint="Wait, and run `annals down` again; or give more --timeout.",
                pid=holder.pid,
            )
        time.sleep(_LOOK_SECONDS)
    return [service.name for service in state.services if service.pid] if state else []
