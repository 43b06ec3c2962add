"""Where everything stands: the last run, what waits for the next one, and who is active."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annals.errors import AnalyticsError, LockedError
from annals.locks import Holder, held_by
from annals.settings import Settings
from flows.history import last_run
from flows.leaving import Leaving, destinations

if TYPE_CHECKING:
    from flows.running_services import ServiceState
    from sync_agent.buffer.buffer_reader import Holdings
    from sync_agent.reading.expiry import Expiry
    from sync_agent.reading.ledger import Custody


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """The lake: its newest snapshot, what it holds, and its position of this buffer's agent."""

    snapshot_id: int | None
    rows: int
    bytes: int
    snapshots: int
    position: int


@dataclass(frozen=True, slots=True)
class WarehouseStatus:
    """The warehouse: the snapshot it has loaded, what is pending, and its revision of gold."""

    file_bytes: int
    loaded_snapshot_id: int | None
    sessions_pending: int
    gold_revision: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of every part; None where a part is not there yet.

    ``lag`` says what waits: ``bytes`` on disk that are not read, ``records`` not yet in the lake,
    ``sessions`` to be rebuilt, and 1 for ``snapshots`` not loaded or ``builds`` not published;
    nothing while a part is in use.
    ``services`` are those of a platform that is up on this machine (``annals up``).
    ``destinations`` are the places that settings name for data.
    ``in_use`` names who has a part open for itself, ``unreadable`` says of another part why nothing
    can be said of it. ``expiry`` is what the agent will delete soon.
    """

    last_run: Mapping[str, Any] | None
    holders: Mapping[str, Holder | None]
    custody: Custody | None
    buffer: Holdings | None
    lake: LakeStatus | None
    warehouse: WarehouseStatus | None
    build: Mapping[str, str] | None
    lag: Mapping[str, int]
    services: tuple[ServiceState, ...]
    destinations: tuple[Leaving, ...]
    unreadable: Mapping[str, str]
    in_use: Mapping[str, str]
    expiry: Expiry | None = None


def status(settings: Settings) -> Status:
    """Look at every part without changing or locking any; a part that cannot be read is named."""
    unreadable: dict[str, str] = {}
    in_use: dict[str, str] = {}

    def part(name: str, look: Callable[[], Any]) -> Any:
        try:
            return look()
        except LockedError as error:
            in_use[name] = str(held_by(settings.pipeline_lock) or error.message)
            return None
        except AnalyticsError as error:
            unreadable[name] = error.message
            return None

    buffer = part("buffer", lambda: _buffer(settings))
    lake = part("lake", lambda: _lake(settings, buffer))
    warehouse = part("warehouse", lambda: _warehouse(settings))
    build = part("build", lambda: _build(settings))
    custody = part("custody", lambda: _custody(settings))
    return Status(
        last_run=last_run(settings),
        holders={
            "pipeline": held_by(settings.pipeline_lock),
            "buffer": held_by(settings.buffer_lock),
        },
        custody=custody,
        buffer=buffer,
        lake=lake,
        warehouse=warehouse,
        build=build,
        lag={} if in_use else _lag(custody, buffer, lake, warehouse, build),
        services=_services(settings),
        destinations=destinations(settings),
        unreadable=unreadable,
        in_use=in_use,
        expiry=part("custody", lambda: _expiry(settings)) if custody else None,
    )


def _services(settings: Settings) -> tuple[ServiceState, ...]:
    """Return what the supervisor noted last, while there is one."""
    from flows.running_services import lock_of, read_state

    noted = read_state(settings) if held_by(lock_of(settings)) is not None else None
    return noted.services if noted is not None else ()


def _custody(settings: Settings) -> Custody:
    from sync_agent.buffer.buffer_reader import where_read
    from sync_agent.reading.ledger import custody

    return custody(where_read(settings))


def _expiry(settings: Settings) -> Expiry | None:
    from sync_agent.buffer.buffer_reader import where_read
    from sync_agent.reading.expiry import expiry

    return expiry(where_read(settings))


def _buffer(settings: Settings) -> Holdings | None:
    from sync_agent.buffer.buffer_reader import read_holdings

    return read_holdings(settings)


def _lake(settings: Settings, buffer: Holdings | None) -> LakeStatus | None:
    from loaders.lake import read_head

    if read_head(settings) is None:
        return None
    from extractors.lake import open_lake

    with open_lake(settings) as lake:
        held = lake.info()
    position = held.positions.get(buffer.agent_id, 0) if buffer else 0
    return LakeStatus(
        held.current_snapshot_id, held.rows, held.bytes, held.snapshots, position=position
    )


def _warehouse(settings: Settings) -> WarehouseStatus | None:
    from loaders import audit, warehouse

    path = settings.warehouse_file
    if not path.exists():
        return None
    with warehouse.connect(settings, read_only=True) as connection:
        return WarehouseStatus(
            file_bytes=path.stat().st_size,
            loaded_snapshot_id=audit.loaded_snapshot(connection),
            sessions_pending=audit.sessions_pending(connection),
            gold_revision=audit.revision(connection),
        )


def _build(settings: Settings) -> Mapping[str, str] | None:
    from loaders import audit, warehouse
    from reports import usage

    if not (settings.builds_folder / "current").is_symlink():
        return None
    with contextlib.closing(warehouse.open_build(settings)) as build:
        revision = audit.build_revision(build)
        return {**usage.build_facts(build), "gold_revision": revision or ""}


def _lag(
    custody: Custody | None,
    buffer: Holdings | None,
    lake: LakeStatus | None,
    warehouse: WarehouseStatus | None,
    build: Mapping[str, str] | None,
) -> dict[str, int]:
    newest = lake.snapshot_id if lake else None
    loaded = warehouse.loaded_snapshot_id if warehouse else None
    gold = warehouse.gold_revision if warehouse else None
    return {
        "bytes": custody.pending_bytes if custody else 0,
        "records": buffer.last_seq - (lake.position if lake else 0) if buffer else 0,
        "snapshots": int(newest != loaded),
        "sessions": warehouse.sessions_pending if warehouse else 0,
        "builds": int(gold is not None and gold != (build or {}).get("gold_revision")),
    }
