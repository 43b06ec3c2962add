"""Load: new data files of the lake become visible to DuckDB, the cursor in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from annals.errors import IntegrityError
from annals.lake import lake_place
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from loaders import compaction, data_files, entries, lake, prices, warehouse
from loaders.lake import Changes, Head, Lake
from loaders.moving import rebase_files
from loaders.warehouse import Connection


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    ``rows_scanned`` counts the rows of the new files; ``snapshot_id`` is the lake's newest
    snapshot, None where the lake is empty. ``bytes_verified`` are those of data files that were
    compared with their hashes.
    """

    files_new: int
    rows_scanned: int
    sessions_pending: int
    snapshot_id: int | None
    bytes_verified: int = field(default=0, compare=False)


def load(settings: Settings, *, progress: Progress = NO_PROGRESS) -> LoadReport:
    """Make the lake's new data files part of the warehouse's raw views and note what is pending.

    Everything happens in one transaction; where nothing is new, nothing is written. Raises
    IntegrityError (exit 9) where the lake contradicts itself, LockedError (exit 7) where another
    process has the warehouse open.
    """
    head = lake.read_head(settings)
    with warehouse.connect(settings) as connection:
        prices.materialise_prices(connection, settings)
        data_files.make_table(connection)
        rebase_files(connection, settings)
        if _is_current(connection, head):
            verified = _verify_known(connection, settings)
            pending = entries.count_pending_sessions(connection)
            return LoadReport(0, 0, pending, head.snapshot_id if head else None, verified)
        opened = lake.open_lake(settings)
        if opened is None:
            return _without_lake(connection, settings)
        report = _load(connection, opened, progress)
        verified = report.bytes_verified + _verify_known(connection, settings)
    return replace(report, bytes_verified=verified)


def _verify_known(connection: Connection, settings: Settings) -> int:
    """Verify the known files that changed, and some that were not verified for long."""
    changed = data_files.verify_changed(connection) + data_files.verify_listed(connection, settings)
    current = settings.builds_folder / "current"
    swept = data_files.sweep(
        connection,
        bytes_per_day=settings.lake_verify_bytes_per_day,
        build=current.resolve() if current.is_symlink() else None,
    )
    return changed + swept


def _is_current(connection: Connection, head: Head | None) -> bool:
    cursor = _cursor(connection)
    return entries.has_views(connection) and cursor == head


def _cursor(connection: Connection) -> Head | None:
    row = connection.execute("select table_uuid, snapshot_id from meta.load_cursor").fetchone()
    return Head(*row) if row else None


def _load(connection: Connection, opened: Lake, progress: Progress) -> LoadReport:
    head = opened.head
    changes = opened.changes(_cursor(connection), entries.known_files(connection))
    progress.report("load", 0, len(changes.new), unit="files")
    with warehouse.transaction(connection):
        found = [(file.file_path, file.file_size) for file in (*changes.new, *changes.rewritten)]
        verified = data_files.verify_new(connection, found)
        pending = _apply(connection, changes, opened.field_ids)
        compaction.merge_notes(connection)
        connection.execute("delete from meta.load_cursor")
        connection.execute(
            "insert into meta.load_cursor values (?, ?)", [head.table_uuid, head.snapshot_id]
        )
    progress.report("load", len(changes.new), len(changes.new), unit="files")
    rows = sum(file.record_count for file in changes.new)
    return LoadReport(len(changes.new), rows, pending, head.snapshot_id, verified)


def _apply(connection: Connection, changes: Changes, field_ids: dict[str, int]) -> int:
    if changes.gone:
        entries.drop_files(connection, changes.gone)
        if not changes.same_rows and warehouse.state(connection, warehouse.REBUILD) is None:
            warehouse.set_state(connection, warehouse.REBUILD, "the lake lost data files")
    entries.add_files(connection, changes.new, is_pending=True)
    entries.add_files(connection, changes.rewritten, is_pending=False)
    entries.point_views(connection, field_ids)
    return entries.add_pending_sessions(connection, changes.new, field_ids)


def _without_lake(connection: Connection, settings: Settings) -> LoadReport:
    if _cursor(connection) is not None:
        raise missing_lake(settings)
    with warehouse.transaction(connection):
        entries.point_views(connection, {})
    return LoadReport(0, 0, 0, None)


def missing_lake(settings: Settings) -> IntegrityError:
    """Return the error for a warehouse whose lake is gone."""
    return IntegrityError(
        f"the lake ({lake_place(settings)}) is gone, but the warehouse was built from one",
        hint="Restore the lake, or correct ICEBERG_WAREHOUSE_PATH or ICEBERG_CATALOG_URI; or,"
        f" to start again, delete {settings.warehouse_file}.",
        path=lake_place(settings),
    )
