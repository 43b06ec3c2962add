"""Everything that the health endpoints tell, looked up at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from annals.errors import AnalyticsError
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.pruning import SHIPPER
from sync_agent.reading.activity import Activity, FileEvent, RootState
from sync_agent.reading.root import name_of
from sync_agent.shipping.shipping_service import Shipping, ShippingStatus

if TYPE_CHECKING:
    from sync_agent.agent.trigger import Asked

_LAG_SHOWN = 20
_LONG_SECONDS = 900.0
STUCK = "reading has not shown itself for more than a minute: restart the agent"
"""The message where the agent answers and does not read any more."""


class Figures(NamedTuple):
    """What the buffer says: records not acknowledged and acknowledged, when, and its bytes."""

    pending: int = 0
    synced: int = 0
    last_sync_at: datetime | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """The agent at one moment. ``status`` is ok, degraded (something waits) or error.

    ``errors`` leaves out those of a start that became healthy, ``errors_in_all`` has them.
    """

    status: str
    message: str
    is_ready: bool
    uptime: float
    figures: Figures
    mongo_connected: bool
    circuit: str
    shipped: int
    dead_letters: int
    errors: Mapping[str, int]
    errors_in_all: Mapping[str, int]
    roots: Mapping[str, RootState]
    lag: Mapping[str, int]
    lag_bytes: int
    events: Mapping[str, int]
    last_events: tuple[FileEvent, ...]
    events_per_minute: int
    average_ms: float
    entries: int
    quarantined: int
    bytes_read: int
    bytes_verified: int
    commits: int
    missed: int
    pipeline: Asked | None


class Observer:
    """Looks the agent up.

    ``shipping`` gives what ships, or None where nothing does; ``is_stuck`` says whether the reading
    thread should have shown itself and did not; ``asked`` gives what came of asking for pipeline
    runs, None where PIPELINE_TRIGGER is off.
    """

    def __init__(
        self,
        settings: Settings,
        activity: Activity,
        shipping: Callable[[], Shipping | None],
        *,
        is_stuck: Callable[[], bool],
        asked: Callable[[], Asked | None] = lambda: None,
    ) -> None:
        self._asked = asked
        self._settings = settings
        self._activity = activity
        self._shipping = shipping
        self._is_stuck = is_stuck
        self._forgotten: Counter[str] | None = None

    def look(self) -> Observation:
        """Return the agent as it is now; reads the buffer with a connection of its own."""
        activity, shipping = self._activity, self._shipping()
        shipped = shipping.status() if shipping is not None else None
        figures, trouble = self._figures(shipped)
        lag = _lag(activity)
        asked = self._asked()
        waits = _what_waits(activity, shipped, asked)
        errors = activity.errors + Counter(shipped.errors if shipped else {})
        status = "error" if trouble else "degraded" if waits else "ok"
        if self._forgotten is None and status == "ok" and activity.is_ready:
            self._forgotten = errors
        return Observation(
            status=status,
            message=trouble or "; ".join(waits),
            is_ready=activity.is_ready and trouble is None,
            uptime=round(activity.uptime, 3),
            figures=figures,
            mongo_connected=bool(shipped and shipped.connected),
            circuit=shipped.circuit if shipped else "none",
            shipped=shipped.shipped if shipped else 0,
            dead_letters=shipped.dead_letters if shipped else 0,
            errors=errors - (self._forgotten or Counter()),
            errors_in_all=errors,
            roots=dict(activity.roots),
            lag=dict(sorted(lag.items(), key=lambda item: -item[1])[:_LAG_SHOWN]),
            lag_bytes=sum(lag.values()),
            events=dict(activity.events),
            last_events=tuple(activity.last_events),
            events_per_minute=activity.events_per_minute,
            average_ms=activity.average_ms,
            entries=activity.entries,
            quarantined=activity.quarantined,
            bytes_read=activity.bytes_read,
            bytes_verified=activity.bytes_verified,
            commits=activity.commits,
            missed=activity.missed,
            pipeline=asked,
        )

    def _figures(self, shipped: ShippingStatus | None) -> tuple[Figures, str | None]:
        """Return what the buffer says, and what keeps it from being written or read."""
        trouble = self._activity.trouble or (STUCK if self._is_stuck() else None)
        ships = self._settings.mongo_uri is not None
        try:
            figures = buffer_figures(self._settings.sqlite_path, ships=ships)
        except AnalyticsError as error:
            figures, trouble = Figures(), trouble or type(error).__name__
        if shipped is not None:
            last = shipped.last_ship_at or figures.last_sync_at
            figures = figures._replace(pending=shipped.pending, last_sync_at=last)
        return figures, trouble


def buffer_figures(path: Path, *, ships: bool) -> Figures:
    """Return what the buffer at ``path`` says of itself; raises LocalBufferError.

    Acknowledged is what the server has, where the agent ``ships``, or else every lake.
    """
    size = sum(
        file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists()
    )
    if not size:
        return Figures()
    with reading(path) as connection:
        if connection is None:
            return Figures(bytes=size)
        known = connection.execute(
            "select (select seq from sqlite_sequence where name = 'records'),"
            " (select value from meta where key = 'pruned_through'),"
            " (select min(acknowledged) from consumers where (name = :shipper) = :ships),"
            " (select max(updated_at) from consumers"
            " where (name = :shipper) = :ships and acknowledged > 0),"
            " (select count(*) from dead_letters where :ships)",
            {"shipper": SHIPPER, "ships": ships},
        )
        last, pruned, acknowledged, updated_at, refused = known.fetchone()
    synced = max(acknowledged or 0, pruned or 0)
    at = datetime.fromtimestamp(updated_at / 1_000_000, UTC) if updated_at else None
    return Figures(max(0, (last or 0) - synced), max(0, synced - refused), at, size)


def _lag(activity: Activity) -> dict[str, int]:
    """Return the bytes on disk that are not read yet, by the file's name."""
    found: dict[str, int] = {}
    for state in tuple(activity.roots.values()):
        for path, pending in state.lag.copy().items():
            name = name_of(path)
            found[name] = found.get(name, 0) + pending
    return found


def _what_waits(
    activity: Activity, shipped: ShippingStatus | None, asked: Asked | None
) -> list[str]:
    waits = [
        f"{Path(root).name}: {state.note}"
        for root, state in tuple(activity.roots.items())
        if state.mode == "missing"
    ]
    if activity.unreadable:
        waits.append(f"{activity.unreadable} files cannot be read")
    if shipped is not None and not shipped.connected:
        waits.append(f"the server cannot be reached: {shipped.last_error or 'not yet asked'}")
    if shipped is not None and shipped.dead_letters:
        waits.append(f"{shipped.dead_letters} records were refused by the server")
    if asked is not None:
        waits += _what_runs(asked)
    return waits


def _what_runs(asked: Asked) -> list[str]:
    """Return why nothing new is published; a long run may be active, or may hang."""
    if asked.last_error is not None:
        return [f"the pipeline does not run: {asked.last_error}"]
    if asked.seconds < _LONG_SECONDS:
        return []
    whose = "its run" if asked.state == "running" else "another run"
    return [
        f"the pipeline is not done: {whose} has been under way for {asked.seconds // 60:.0f} min"
    ]
