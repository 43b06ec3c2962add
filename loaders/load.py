"""Load: new data files of the lake become visible to DuckDB, the cursor in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.errors import IntegrityError
from analytics.lake import lake_place
from analytics.settings import Settings
from analytics.telemetry import NO_PROGRESS, Progress
from loaders import entries, lake, prices, warehouse
from loaders.entries import DataFile
from loaders.lake import Changes, Head, Lake
from loaders.warehouse import Connection


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    ``rows_scanned`` counts the rows of the new files; ``snapshot_id`` is the lake's newest
    snapshot, None where the lake is empty.
    """

    files_new: int
    rows_scanned: int
    sessions_pending: int
    snapshot_id: int | None


def load(settings: Settings, *, progress: Progress = NO_PROGRESS) -> LoadReport:
    """Make the lake's new data files part of the warehouse's raw views and note what is pending.

    Everything happens in one transaction; where nothing is new, nothing is written. Raises
    IntegrityError (exit 9) where the lake contradicts itself, LockedError (exit 7) where another
    process has the warehouse open.
    """
    head = lake.read_head(settings)
    with warehouse.connect(settings) as connection:
        prices.materialise_prices(connection, settings)
        if _is_current(connection, head):
            pending = entries.count_pending_sessions(connection)
            return LoadReport(0, 0, pending, head.snapshot_id if head else None)
        opened = lake.open_lake(settings)
        if opened is None:
            return _without_lake(connection, settings)
        return _load(connection, opened, progress)


def _is_current(connection: Connection, head: Head | None) -> bool:
    cursor = _cursor(connection)
    return entries.has_views(connection) and cursor == head


def _cursor(connection: Connection) -> Head | None:
    row = connection.execute("select table_uuid, snapshot_id from meta.load_cursor").fetchone()
    return Head(*row) if row else None


def _load(connection: Connection, opened: Lake, progress: Progress) -> LoadReport:
    head = opened.head
    changes = opened.changes(_cursor(connection), entries.known_files(connection))
    _check_present((*changes.new, *changes.rewritten))
    progress.report("load", 0, len(changes.new), unit="files")
    with warehouse.transaction(connection):
        pending = _apply(connection, changes, opened.field_ids)
        connection.execute("delete from meta.load_cursor")
        connection.execute(
            "insert into meta.load_cursor values (?, ?)", [head.table_uuid, head.snapshot_id]
        )
    progress.report("load", len(changes.new), len(changes.new), unit="files")
    rows = sum(file.record_count for file in changes.new)
    return LoadReport(len(changes.new), rows, pending, head.snapshot_id)


def _apply(connection: Connection, changes: Changes, field_ids: dict[str, int]) -> int:
    if changes.gone:
        entries.drop_files(connection, changes.gone)
        if not changes.same_rows and warehouse.state(connection, warehouse.REBUILD) is None:
            warehouse.set_state(connection, warehouse.REBUILD, "the lake lost data files")
    entries.add_files(connection, changes.new, is_pending=True)
    entries.add_files(connection, changes.rewritten, is_pending=False)
    entries.point_views(connection, field_ids)
    return entries.add_pending_sessions(connection, changes.new)


def _without_lake(connection: Connection, settings: Settings) -> LoadReport:
    if _cursor(connection) is not None:
        raise IntegrityError(
            f"the lake ({lake_place(settings)}) is gone, but the warehouse was built from one",
            hint="Restore the lake, or correct ICEBERG_WAREHOUSE_PATH or ICEBERG_CATALOG_URI; or,"
            f" to start anew, delete {settings.warehouse_file}.",
            path=lake_place(settings),
        )
    with warehouse.transaction(connection):
        entries.point_views(connection, {})
    return LoadReport(0, 0, 0, None)


def _check_present(files: Sequence[DataFile]) -> None:
    for file in files:
        if "://" in file.file_path:
            continue  # an object store says so itself when the file is read
        path = Path(file.file_path)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise _damaged(file, f"cannot be read: {error.strerror}") from error
        if size != file.file_size:
            raise _damaged(file, f"has {size} bytes, the lake's manifest says {file.file_size}")


def _damaged(file: DataFile, what: str) -> IntegrityError:
    return IntegrityError(
        f"the lake's data file {file.file_path} {what}",
        hint="Restore it from a backup of the lake, then run the command again.",
        path=file.file_path,
    )
