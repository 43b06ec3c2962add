"""The two events that the freshness automation compares: an agent is active, data has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.events import emit_event
from prefect.logging import get_run_logger

from annals.errors import DependencyError
from annals.locks import held_by
from annals.settings import Settings

AGENT_ACTIVE = "annals.agent.active"
DATA_ARRIVED = "annals.data.arrived"
RESOURCE = {"prefect.resource.id": "annals.pipeline", "prefect.resource.name": "pipeline"}

_SILENT = timedelta(minutes=10)


def tell(settings: Settings, *, records: int) -> None:
    """Emit what this run saw: an agent active here or on the server, and new records."""
    if records:
        emit_event(DATA_ARRIVED, resource=RESOURCE, payload={"records": records})
    if _is_agent_active(settings):
        emit_event(AGENT_ACTIVE, resource=RESOURCE)


def _is_agent_active(settings: Settings) -> bool:
    from extractors.sources import last_heartbeat
    from sync_agent.agent.once import LIVE_ROLE

    holder = held_by(settings.buffer_lock)
    if holder is not None and holder.role == LIVE_ROLE:
        return True
    try:
        beat = last_heartbeat(settings)
    except DependencyError as error:  # gone since the records came: the run itself went well
        get_run_logger().warning("no agent was heard of: %s", error.message)
        return False
    return beat is not None and datetime.now(UTC) - beat < _SILENT
