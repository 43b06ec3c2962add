"""The reading side of the lake: which data files there are, and which are new.

Only append snapshots bring new rows. A snapshot marked ``annals.kind=maintenance`` rewrites files
and brings none; where anything else happened to the lineage, all files are listed and compared.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from annals.errors import (
    AnalyticsError,
    DependencyError,
    IntegrityError,
    LakeDamageError,
    LakeError,
)
from annals.lake import (
    catalog_server_fault,
    is_elsewhere,
    lake_place,
    table_store_fault,
    usable_location,
)
from annals.lake.boundary import require_inside
from annals.lake.catalog_file import (
    CATALOG_FILE,
    NEWEST_METADATA,
    catalog_file,
    checksums_of,
    table_row,
)
from annals.lake.checksums import Checksums, damaged_file, metadata_files
from annals.lake.damage import find_damage
from annals.lake.moving import moved_error, moved_from
from annals.lake.sql_catalog import open_sql_catalog
from annals.limits import METADATA_BYTES, parse_json, read_file
from annals.settings import Settings
from annals.settings.destinations import require_allowed
from loaders.entries import DataFile

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot

_MAINTENANCE = "maintenance"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)
_FILE_SCHEME = re.compile(r"^file:(?://)?(?=/)")


@dataclass(frozen=True, slots=True)
class Head:
    """Where the lake's table stands: its UUID and its newest snapshot, None where it is empty."""

    table_uuid: str
    snapshot_id: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the lake's data files since the cursor.

    ``new`` files hold rows that were not loaded yet, ``rewritten`` ones only rows that were; the
    paths in ``gone`` are no longer part of the table; with ``same_rows`` other files hold their
    rows now.
    """

    new: tuple[DataFile, ...] = ()
    rewritten: tuple[DataFile, ...] = ()
    gone: tuple[str, ...] = ()
    same_rows: bool = False


class Lake:
    """The Iceberg table of the lake, opened for reading at one metadata version."""

    def __init__(self, table: Table, checksums: Checksums, *, folder: Path | None = None) -> None:
        self._table = table
        self._checksums = checksums
        self._folder = folder  # of a lake on this machine: nothing outside of it is read

    @property
    def head(self) -> Head:
        """Return the table's UUID and newest snapshot."""
        newest = self._table.current_snapshot()
        return Head(str(self._table.metadata.table_uuid), newest.snapshot_id if newest else None)

    @property
    def field_ids(self) -> dict[str, int]:
        """Return the Iceberg field id of each column."""
        return {field.name: field.field_id for field in self._table.schema().fields}

    @property
    def summaries(self) -> list[dict[str, str]]:
        """Return the properties that each kept snapshot carries."""
        kept = (snapshot.summary for snapshot in self._table.metadata.snapshots)
        return [dict(summary.additional_properties) for summary in kept if summary is not None]

    def changes(self, cursor: Head | None, known: Mapping[str, bool]) -> Changes:
        """Return what the table gained and lost since ``cursor``.

        ``known`` maps the path of each loaded file to whether its rows are still pending. Where
        the cursor is not an ancestor of the head any more (rollback, expiry, another table), every
        file of the table that is not known counts as new.
        """
        since = self._since(cursor)
        if since is None:
            return self._compared(known, rewritten=False)
        if all(_is_plain_append(snapshot) for snapshot in since):
            appended = self._appended(cursor, known) if since else ()
            return Changes(new=appended)
        only_marked = all(_is_plain_append(one) or _is_maintenance(one) for one in since)
        return self._compared(known, rewritten=only_marked, since=since)

    def _since(self, cursor: Head | None) -> list[Snapshot] | None:
        """Return the snapshots after the cursor, newest first; None if it is not an ancestor.

        The cursor of an empty table is not an ancestor: the oldest kept snapshot has no parent
        either, but expired ones may have come before it.
        """
        if cursor is None or cursor.table_uuid != self.head.table_uuid:
            return None
        if cursor.snapshot_id is None:
            return [] if self.head.snapshot_id is None else None
        lineage: list[Snapshot] = []
        for snapshot in self._lineage:
            if snapshot.snapshot_id == cursor.snapshot_id:
                return lineage
            lineage.append(snapshot)
        return None

    @cached_property
    def _lineage(self) -> list[Snapshot]:
        from pyiceberg.table.snapshots import ancestors_of  # noqa: PLC0415 - half a second

        return list(ancestors_of(self._table.current_snapshot(), self._table.metadata))

    def _appended(self, cursor: Head | None, known: Mapping[str, bool]) -> tuple[DataFile, ...]:
        scan = self._table.incremental_append_scan()
        if cursor is not None and cursor.snapshot_id is not None:
            scan = scan.from_snapshot_id_exclusive(cursor.snapshot_id)
        return tuple(file for file in self._files(scan.plan_files) if file.file_path not in known)

    def _compared(
        self, known: Mapping[str, bool], *, rewritten: bool, since: Iterable[Snapshot] = ()
    ) -> Changes:
        """Compare all files of the table with the known ones.

        With ``rewritten``, unknown files that a maintenance snapshot of ``since`` wrote hold no new
        rows, unless a file that vanished was pending or was never seen: then its rows are in them.
        """
        present = self._files(self._table.scan().plan_files)
        paths = {file.file_path for file in present}
        unknown = [file for file in present if file.file_path not in known]
        gone = tuple(path for path in known if path not in paths)
        if rewritten and not any(known[path] for path in gone):
            marked = {one.snapshot_id for one in since if _is_maintenance(one)}
            appended, lost = self._appends_of(since, marked, paths)
            if not lost:
                return Changes(
                    new=tuple(file for file in unknown if file.file_path in appended),
                    rewritten=tuple(file for file in unknown if file.file_path not in appended),
                    gone=gone,
                    same_rows=True,
                )
        return Changes(new=tuple(unknown), gone=gone, same_rows=rewritten)

    def _appends_of(
        self, since: Iterable[Snapshot], marked: set[int], present: set[str]
    ) -> tuple[set[str], bool]:
        """Return the paths that unmarked snapshots appended, and whether one of them is gone."""
        appended: set[str] = set()
        for snapshot in since:
            if snapshot.snapshot_id in marked:
                continue
            scan = self._table.incremental_append_scan().to_snapshot_id_inclusive(
                snapshot.snapshot_id
            )
            if snapshot.parent_snapshot_id is not None:
                scan = scan.from_snapshot_id_exclusive(snapshot.parent_snapshot_id)
            appended.update(file.file_path for file in self._files(scan.plan_files))
        return appended, not appended <= present

    def _files(self, tasks: Callable[[], Iterable[FileScanTask]]) -> list[DataFile]:
        snapshot_id = self.head.snapshot_id or 0
        files: list[DataFile] = []
        for task in self._planned(tasks):
            if task.delete_files:
                raise IntegrityError(
                    "the lake holds delete files, which this version does not read",
                    hint="Compact the table with the engine that wrote them.",
                    file=task.file.file_path,
                )
            file = task.file
            path = _FILE_SCHEME.sub("", file.file_path)
            if self._folder is not None:
                require_inside(path, self._folder)
            files.append(DataFile(path, snapshot_id, file.record_count, file.file_size_in_bytes))
        return sorted(files, key=lambda file: file.file_path)

    def _planned(self, tasks: Callable[[], Iterable[FileScanTask]]) -> list[FileScanTask]:
        """Verify and read the manifests; whatever is raised meanwhile is damage, named.

        An object store's own answers keep their errors.
        """
        try:
            self._checksums.require(metadata_files(self._table))
            return list(tasks())
        except AnalyticsError:
            raise
        except Exception as error:  # whatever the library raises here, it was reading the lake
            place = self._table.location()
            if isinstance(error, OSError) and (
                known := table_store_fault(self._table, error, place)
            ):
                raise known from error
            raise find_damage(self._table, self._checksums, error) from error


def _is_maintenance(snapshot: Snapshot) -> bool:
    summary = snapshot.summary
    return summary is not None and summary.additional_properties.get("annals.kind") == _MAINTENANCE


def _is_plain_append(snapshot: Snapshot) -> bool:
    summary = snapshot.summary
    is_append = summary is not None and summary.operation.value == "append"
    return is_append and not _is_maintenance(snapshot)


def read_head(settings: Settings) -> Head | None:
    """Return where the lake's table stands, without Iceberg's library where the catalog is a file.

    None means that no table exists yet. Raises IntegrityError where the catalog file is missing
    although data lies beside it, or where it names metadata that is not there.
    """
    catalog = catalog_file(settings)
    if catalog is None:
        lake = open_lake(settings)
        return lake.head if lake else None
    metadata = _metadata_location(settings, catalog) if catalog.exists() else None
    if metadata is None:
        _refuse_orphans(settings, catalog)
        return None
    if old := moved_from(metadata, settings):
        raise moved_error(old, settings)
    checksums_of(settings).require([str(metadata)])
    try:
        content = parse_json(read_file(metadata, limit=METADATA_BYTES))
        newest = content.get("current-snapshot-id")
        return Head(content["table-uuid"], None if newest in (None, -1) else int(newest))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken_metadata(metadata) from error


def open_lake(settings: Settings) -> Lake | None:
    """Open the lake's table for reading; None where there is none yet.

    Raises IntegrityError (exit 9) for a catalog file that is missing beside its data or names
    metadata that is missing, DependencyError where a catalog server or an object store does not
    answer, SettingsError where one of them refuses.
    """
    from pyiceberg.exceptions import NoSuchTableError, RESTError  # noqa: PLC0415 - half a second
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    if catalog_file(settings) is not None and read_head(settings) is None:
        return None
    name = (*settings.iceberg_namespace.split("."), settings.iceberg_table_name)
    try:
        with contextlib.closing(_catalog(settings)) as catalog:
            table = catalog.load_table(name)
    except NoSuchTableError:
        return None
    except FileNotFoundError as error:
        raise _broken_metadata(Path(str(error.filename or settings.lake_folder))) from error
    except (OSError, RESTError, DBAPIError) as error:
        if is_elsewhere(settings):
            raise catalog_server_fault(error, lake_place(settings)) from error
        if isinstance(error, DBAPIError) and catalog_file(settings) is not None:
            raise _damaged_catalog(catalog_file(settings), error.orig) from error
        raise DependencyError(
            f"the lake's catalog does not answer: {type(error).__name__}",
            hint="Check ICEBERG_CATALOG_URI, and that the catalog's server runs.",
            catalog=settings.iceberg_catalog_name,
        ) from error
    except Exception as error:  # whatever the library raises here, it was reading the lake
        raise _reading_fault(error, settings) from error
    usable_location(settings, table.location())
    folder = None if is_elsewhere(settings) else settings.lake_folder
    return Lake(table, checksums_of(settings), folder=folder)


def _reading_fault(error: Exception, settings: Settings) -> AnalyticsError:
    """Return the error for a lake that cannot be read; raise one of ours as it is.

    A place that is not allowed, or an address that is wrong, is not a damaged file.
    """
    if isinstance(error, AnalyticsError):
        raise error
    return _broken_metadata(Path(str(head_location(settings) or lake_place(settings))))


def head_location(settings: Settings) -> Path | None:
    """Return the newest metadata file that the catalog file names; None without such a file."""
    catalog = catalog_file(settings)
    if catalog is None or not catalog.exists():
        return None
    return _metadata_location(settings, catalog)


def _catalog(settings: Settings) -> Catalog:
    if is_elsewhere(settings):
        from annals.lake.waiting import rest_catalog  # noqa: PLC0415 - only where there is one

        return rest_catalog(settings)
    require_allowed(settings, "iceberg_catalog_uri")
    uri = settings.iceberg_catalog_uri
    properties = {
        "type": "sql",
        "uri": uri.get_secret_value()
        if uri
        else f"sqlite:///{settings.lake_folder / CATALOG_FILE}",
        "warehouse": f"file://{settings.lake_folder}",
        "init_catalog_tables": "false",
    }
    return open_sql_catalog(settings.iceberg_catalog_name, properties)


def _has_tables(catalog: Path) -> bool:
    """Return whether a catalog file has Iceberg's tables, also if that cannot be read."""
    query = "select name from sqlite_master where name = ?"
    try:
        return _query(catalog, query, ("iceberg_tables",)) is not None
    except sqlite3.Error:
        return True


def _metadata_location(settings: Settings, catalog: Path) -> Path | None:
    try:
        row = _query(catalog, NEWEST_METADATA, table_row(settings))
    except sqlite3.OperationalError as error:
        if not _has_tables(catalog):
            return None
        if error.sqlite_errorcode & 0xFF in _DAMAGED:
            raise _damaged_catalog(catalog, error) from error
        raise LakeError(
            f"the lake's catalog {catalog} cannot be read: {error}",
            hint="Check its permissions, and that no other program holds it.",
            path=catalog,
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged_catalog(catalog, error) from error
    if row is None:
        return None
    if not isinstance(row[0], str):
        raise _damaged_catalog(catalog, "it names no metadata file")
    return Path(_FILE_SCHEME.sub("", row[0]))


def _query(catalog: Path, query: str, values: Sequence[str]) -> tuple[str] | None:
    """Read one row; for writing where a killed commit has to be rolled back first."""
    place = f"file:{quote(str(catalog))}"
    try:
        with contextlib.closing(sqlite3.connect(f"{place}?mode=ro", uri=True)) as connection:
            return cast("tuple[str] | None", connection.execute(query, values).fetchone())
    except sqlite3.OperationalError:
        with contextlib.closing(sqlite3.connect(f"{place}?mode=rw", uri=True)) as connection:
            return cast("tuple[str] | None", connection.execute(query, values).fetchone())


def _refuse_orphans(settings: Settings, catalog: Path) -> None:
    """Raise where data lies in the table's folder although no catalog knows the table."""
    folder = settings.lake_folder / settings.iceberg_namespace / settings.iceberg_table_name
    if next(folder.glob("data/**/*.parquet"), None) is not None:
        raise IntegrityError(
            f"the lake {folder} has data, but its catalog {catalog} does not know the table",
            hint="Run `annals repair`, or restore the file from a backup.",
            path=catalog,
        )


def _broken_metadata(metadata: Path) -> LakeDamageError:
    return damaged_file(metadata, "it cannot be read as the lake's metadata")


def _damaged_catalog(catalog: Path | None, error: object) -> LakeDamageError:
    return damaged_file(catalog, f"the catalog cannot be read: {error}")
