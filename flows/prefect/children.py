"""The processes of a worker's runs, and the end of those that do not end by themselves."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from uuid import UUID

import anyio

_LOOK_SECONDS = 15.0
_GRACE_SECONDS = 20.0
"""How long a run may take to roll back when it has to end."""

_REVIVE_SECONDS = 45.0
"""How long a run that is over may take to end by itself: longer than a heartbeat takes to come, as
a run that counted as dead and is alive gets its state back meanwhile."""

_logger = logging.getLogger("prefect.worker.annals")

Over = Callable[[Collection[UUID]], Awaitable[Collection[UUID]]]
"""Takes ids of flow runs, and returns those that have ended as far as the server knows."""


@dataclass(slots=True, eq=False)
class Child:
    """The process of a run; ``is_told`` where the worker itself had it ended."""

    process: BaseProcess
    flow_run_id: UUID
    ended: anyio.Event = field(default_factory=anyio.Event)
    is_told: bool = False
    over_since: float | None = None

    def tell(self) -> None:
        """Ask it to end; one that is stopped goes on, and takes the signal first."""
        self.is_told = True
        self.process.terminate()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, signal.SIGCONT)


class Children:
    """The processes that are active."""

    def __init__(self) -> None:
        self._at_work: set[Child] = set()

    def add(self, process: BaseProcess, flow_run_id: UUID) -> Child:
        """Take a process that was started."""
        child = Child(process, flow_run_id)
        self._at_work.add(child)
        return child

    def remove(self, child: Child) -> None:
        """Let go of one that has ended, and of which all is reported."""
        self._at_work.discard(child)
        child.ended.set()

    async def end(self) -> None:
        """Tell all of them to end; return when they have, or had enough time for it."""
        at_work = tuple(self._at_work)
        for child in at_work:
            child.tell()
        with anyio.move_on_after(_GRACE_SECONDS):  # after it the starters kill them
            for child in at_work:
                await child.ended.wait()

    async def watch(self, over: Over) -> None:
        """End processes that go on, or hang, though their runs have ended on the server.

        Somebody else ended those runs: a person, or the automation that found no sign of life. As
        long as such a process is there it may hold the lock of the pipeline, and keep all others
        out. What goes wrong with the question counts for nothing: it is asked again.
        """
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            try:
                found = await over([one.flow_run_id for one in self._at_work])
            except Exception:  # whatever it was: the server may be away for a while
                _logger.debug("The server does not say which runs have ended", exc_info=True)
                continue
            now = anyio.current_time()
            for child in self._at_work:
                if child.flow_run_id in found:
                    _press(child, now)
                elif not child.is_told:
                    child.over_since = None


def _press(child: Child, now: float) -> None:
    """Let a process whose run is over end by itself; then tell it to; then kill it."""
    if child.over_since is None:
        child.over_since = now
    waited = now - child.over_since
    if waited < _REVIVE_SECONDS:
        return
    if waited < _REVIVE_SECONDS + _GRACE_SECONDS or not child.is_told:
        _logger.warning("The run %s is over; its process has to end", child.flow_run_id)
        child.tell()
    else:
        _logger.warning("The run %s is over; its process is killed", child.flow_run_id)
        child.process.kill()
