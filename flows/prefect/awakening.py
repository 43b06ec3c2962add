"""Silence counts only while the server itself was awake, and a late heartbeat revives its run.

A machine that sleeps hears no heartbeat, and on waking every run would seem silent for as long as
it slept. So the server keeps a beat of its own; after a gap in it, and at its start, all silences
begin again. Private to Prefect, so it belongs to the version that requirements/platform.txt pins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from prefect.logging import get_logger
from prefect.server import models, schemas
from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.schemas.automations import Posture

from flows.prefect.automations import HEARTBEAT, SILENT

_BEAT_SECONDS = 1.0
_LATE_SECONDS = 10.0
"""A gap of that length is a sleep: less than the shortest silence that is judged."""

_RUN = "prefect.flow-run."
_logger = get_logger("annals.awakening")

# Its functions are wrapped in a way that loses their types.
_flow_runs: Any = models.flow_runs

Clock = Callable[[], float]


class Beat:
    """Notes each second that this process is awake; :meth:`take` reports a sleep once.

    The clock is the wall's: it goes on while the machine sleeps.
    """

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = clock()
        self._has_slept = True  # whatever was before the start, nobody listened

    def note(self) -> None:
        """Note that this process is awake now."""
        with self._lock:
            now = self._clock()
            if abs(now - self._last) > _LATE_SECONDS:
                self._has_slept = True
            self._last = now

    def take(self) -> bool:
        """Return whether there was a sleep that was not told of yet."""
        self.note()
        with self._lock:
            has_slept, self._has_slept = self._has_slept, False
        return has_slept

    def give_back(self) -> None:
        """Tell of the sleep again: what was to be done about it failed."""
        with self._lock:
            self._has_slept = True

    def run(self) -> None:
        """Beat until the process ends."""
        while True:
            time.sleep(_BEAT_SECONDS)
            self.note()


async def restart_silences() -> None:
    """Let every silence that is being counted end no sooner than its full time from now."""
    database = provide_database_interface()
    bucket = database.AutomationBucket
    now = datetime.now(UTC)
    async with database.session_context(begin_transaction=True) as session:
        for trigger in list(triggers.triggers.values()):
            if trigger.posture == Posture.Proactive and trigger.after:
                end = now + trigger.within
                await session.execute(
                    sa.update(bucket)
                    .where(bucket.trigger_id == trigger.id, bucket.end < end)
                    .values(end=end)
                )


async def revive_run(run_id: UUID, heard_at: datetime) -> bool:
    """Undo a verdict of silence from before ``heard_at``; return whether there was one."""
    database = provide_database_interface()
    async with database.session_context(begin_transaction=True) as session:
        run: Any = await _flow_runs.read_flow_run(session, run_id)
        state = run.state.as_state() if run is not None and run.state is not None else None
        if state is None or state.type != schemas.states.StateType.CRASHED:
            return False
        if not (state.message or "").startswith(SILENT) or state.timestamp >= heard_at:
            return False
        alive: schemas.states.State = schemas.states.Running(
            message="It gave a sign of life again: it goes on."
        )
        await _flow_runs.set_flow_run_state(session, run_id, alive, force=True)
    _logger.warning("The run %s gives signs of life again; it counts as running", run_id)
    return True


def install(beat: Beat | None = None) -> None:
    """Put both before what judges the silences; from now on the beat goes on."""
    kept = beat or Beat()

    def awake_first(judge: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def judge_awake(*arguments: Any, **options: Any) -> Any:
            if kept.take():
                try:
                    await restart_silences()
                except Exception:
                    kept.give_back()
                    raise
            return await judge(*arguments, **options)

        return judge_awake

    react = triggers.reactive_evaluation

    async def react_to(event: Any, depth: int = 0) -> None:
        if event.event == HEARTBEAT and event.resource.id.startswith(_RUN):
            await revive_run(UUID(event.resource.id.removeprefix(_RUN)), event.occurred)
        await react(event, depth)

    members = vars(triggers)
    members["reactive_evaluation"] = awake_first(react_to)
    for name in ("periodic_evaluation", "proactive_evaluation"):
        members[name] = awake_first(members[name])
    threading.Thread(target=kept.run, name="awake", daemon=True).start()
