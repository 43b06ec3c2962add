"""Transform: dbt builds bronze, silver and gold from what the loader made visible.

A run that died anywhere is repaired by the next one: what is pending is cleared only after the
last model, in the transaction that also notes the new revision of gold.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from loaders import compaction, completeness, data_files, entries, gold, prices, warehouse
from loaders.dbt_project import PROJECT_FOLDER, Outcome, project_hash, run_dbt
from loaders.memory import memory_limit
from loaders.warehouse import FULL_BUILD, REBUILD, Connection

GOLD_REVISION = "gold_revision"
"""Key of the state that changes with every change of gold."""

TIMEZONE = "timezone"
"""Key of the state that names the zone in which gold's days begin."""

_SIGNATURE = "transform_signature"


@dataclass(frozen=True, slots=True)
class TransformReport:
    """What a transform did; ``rows_scanned`` are the lake's rows that were read."""

    models_built: int
    tests_run: int
    sessions_rebuilt: int
    rows_scanned: int
    full_refresh: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Plan:
    signature: str
    full_refresh: bool
    rows: int
    is_due: bool


def transform(
    settings: Settings,
    *,
    full_refresh: bool = False,
    run_tests: bool = False,
    project: Path = PROJECT_FOLDER,
    progress: Progress = NO_PROGRESS,
) -> TransformReport:
    """Build what the pending data touches, or everything where project, prices or zone changed.

    Contracts hold in every build; the dbt tests, which scan all rows, run where ``run_tests`` says
    so, also with nothing pending (docs/adr/0007-when-tests-run.md). Raises WarehouseError naming
    the model that failed, QualityError (exit 5) naming the test, LockedError (exit 7).
    """
    started = time.perf_counter()
    with warehouse.connect(settings) as connection:
        plan = _plan(connection, settings, project, full_refresh=full_refresh)
        if not plan.is_due and not run_tests:
            return TransformReport(0, 0, 0, 0, full_refresh=False, seconds=0.0)
        if plan.full_refresh:
            data_files.verify_all(connection)
            # Said before anything is dropped: a run that dies half-way is followed by another one.
            warehouse.set_state(connection, REBUILD, FULL_BUILD)
            warehouse.drop_layers(connection)
        progress.report("transform", 0, None, unit="models")  # dbt itself takes a while to start
        outcome = run_dbt(
            _sized(settings, plan.rows),
            _command(plan, run_tests=run_tests),
            project=project,
            full_refresh=plan.full_refresh,
            on_node=partial(progress.report, "transform", unit="models"),
        )
        sessions = _finish(connection, plan, outcome, timezone=settings.timezone)
    return _report(plan, outcome, sessions, time.perf_counter() - started)


def _sized(settings: Settings, rows: int) -> Settings:
    """Return settings whose memory limit is the one for work on ``rows`` rows."""
    return settings.model_copy(update={"duckdb_memory_limit": memory_limit(settings, rows=rows)})


def _plan(
    connection: Connection, settings: Settings, project: Path, *, full_refresh: bool
) -> _Plan:
    if not entries.has_views(connection):
        _point_views(connection, settings)
    signature = _signature(connection, settings, project)
    known = warehouse.state(connection, _SIGNATURE)
    rebuild = warehouse.state(connection, REBUILD) is not None
    full = full_refresh or rebuild or known != signature
    rows = entries.count_rows(connection, only_pending=not full)
    return _Plan(signature, full, rows, is_due=full or entries.is_pending(connection))


def _point_views(connection: Connection, settings: Settings) -> None:
    """Make the raw views; those that an older program made lack columns of the records."""
    if not entries.known_files(connection):
        entries.point_views(connection, {})
        return
    from loaders.lake import open_lake  # noqa: PLC0415 -- Iceberg, once after an upgrade
    from loaders.load import missing_lake  # noqa: PLC0415

    opened = open_lake(settings)
    if opened is None:
        raise missing_lake(settings)
    entries.point_views(connection, opened.field_ids)


def _signature(connection: Connection, settings: Settings, project: Path) -> str:
    """Return a hash over everything that gold depends on besides the lake."""
    parts = (
        project_hash(project),
        prices.materialise_prices(connection, settings),
        settings.timezone,
        str(warehouse.SCHEMA_VERSION),
    )
    return sha256("\0".join(parts).encode()).hexdigest()


def _command(plan: _Plan, *, run_tests: bool) -> Literal["run", "build", "test"]:
    if not plan.is_due:
        return "test"
    return "build" if run_tests else "run"


def _finish(connection: Connection, plan: _Plan, outcome: Outcome, *, timezone: str) -> int:
    """Clear what was pending and note the new revision; return how many sessions were rebuilt.

    Raises IntegrityError, and clears nothing, if bronze lacks an entry of what was pending.
    """
    if not plan.is_due:
        return 0
    completeness.require_bronze(connection, is_full=plan.full_refresh)
    sessions = entries.count_sessions(connection, only_pending=not plan.full_refresh)
    with warehouse.transaction(connection):
        gold.note_changed_months(connection, everything=plan.full_refresh)
        completeness.note_built(connection, outcome.relations, is_full=plan.full_refresh)
        compaction.note_replaced(connection, is_full=plan.full_refresh)
        entries.clear_pending(connection)
        connection.execute("delete from meta.state where key = ?", [REBUILD])
        warehouse.set_state(connection, _SIGNATURE, plan.signature)
        warehouse.set_state(connection, TIMEZONE, timezone)
        warehouse.set_state(connection, GOLD_REVISION, uuid.uuid4().hex)
    return sessions


def _report(plan: _Plan, outcome: Outcome, sessions: int, seconds: float) -> TransformReport:
    return TransformReport(
        models_built=outcome.models_built,
        tests_run=outcome.tests_run,
        sessions_rebuilt=sessions,
        rows_scanned=plan.rows if plan.is_due else 0,
        full_refresh=plan.full_refresh,
        seconds=seconds,
    )
