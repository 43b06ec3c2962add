"""Finding the lake: its catalog, its table, and what must never be mistaken for a new one."""

from __future__ import annotations

import sqlite3

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as DuplicateRowError

from annals.errors import AnalyticsError, IntegrityError, LakeError, SettingsError
from annals.files import make_database, make_folder
from annals.lake import is_elsewhere, lake_place, usable_location
from annals.lake.catalog_file import CATALOG_FILE, catalog_file, checksums_of
from annals.lake.checksums import Checksums, metadata_files
from annals.lake.damage import find_damage
from annals.lake.moving import moved_error, moved_from
from annals.lake.sql_catalog import open_sql_catalog
from annals.settings import Settings
from annals.settings.destinations import require_allowed
from extractors.entries import SCHEMA
from extractors.faults import unreadable_metadata
from extractors.files import COMPRESSION_LEVEL, PAGE_BYTES, UNIQUE_COLUMNS
from extractors.lake.durable import DurableFileIO
from extractors.lake.evolution import add_columns
from extractors.lake.noted import noted_location
from extractors.lake.relocation import relocate_catalog, relocate_files
from extractors.lake.table import Lake, faults

_REACHED = (OSError, DBAPIError, RESTError, NamespaceAlreadyExistsError, TableAlreadyExistsError)
"""What opening raises of networks, disks and other processes; all else is a damaged lake."""

_DUPLICATE_STATES = {"42P06", "42P07", "42710", "23505"}
"""What PostgreSQL answers where a schema, a table, an object or a row is there already."""

_LOST_RACES = (
    DBAPIError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    TableAlreadyExistsError,
)
OPENING_ATTEMPTS = 6
"""Catalog tables, namespace, table and columns are made in turn, each by the first to need it."""

PROPERTIES = {
    "format-version": "2",
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": str(COMPRESSION_LEVEL),
    "write.parquet.page-size-bytes": str(PAGE_BYTES),
    **{f"write.metadata.metrics.column.{name}": "none" for name in sorted(UNIQUE_COLUMNS)},
}


def open_lake(settings: Settings, *, create: bool = False) -> Lake:
    """Open the lake's table; with ``create``, make catalog, namespace and table where missing.

    Raises LakeError where no lake exists, and IntegrityError (exit 9) where there are data files
    but the catalog that knows them is lost: an empty table is never made beside them.
    """
    if not is_elsewhere(settings):
        _refuse_unusable_path(settings)
        own_catalog = settings.lake_folder / CATALOG_FILE
        if not settings.iceberg_catalog_uri and not own_catalog.exists():
            _refuse_orphaned_data(settings)
            if not create:
                raise _no_lake(settings)
        _follow_move(settings, may_rewrite=create)
    place = lake_place(settings)
    with faults(place):
        for attempt in range(1, OPENING_ATTEMPTS + 1):
            try:
                return _open(settings, place, create=create)
            except _LOST_RACES as error:
                # Where another process made the same thing just now, the next attempt finds it.
                if attempt == OPENING_ATTEMPTS or not _was_made_by_another(error):
                    raise
    raise _no_lake(settings)


def _follow_move(settings: Settings, *, may_rewrite: bool) -> None:
    """Rewrite the paths of a lake whose folder was moved; each step can be repeated.

    Raises LakeDamageError (exit 9) that says so if this command may not change the lake.
    """
    noted = noted_location(settings)
    old = moved_from(noted, settings) if noted else None
    if old is None:
        return
    if not may_rewrite:
        raise moved_error(old, settings)
    relocate_files(settings.lake_folder, old=old, new=settings.lake_folder)
    checksums_of(settings).renew()
    if catalog := catalog_file(settings):
        relocate_catalog(catalog, old=old, new=settings.lake_folder)


def _open(settings: Settings, place: str, *, create: bool) -> Lake:
    identifier = table_identifier(settings)
    catalog = connect_catalog(settings)
    try:
        try:
            table = catalog.load_table(identifier)
        except NoSuchTableError:
            if not create:
                raise _no_lake(settings) from None
            _refuse_second_lake(settings)
            table = _create_table(catalog, identifier)
        except (*_REACHED, AnalyticsError):
            raise
        except Exception as error:  # whatever the library raises here, it was reading the lake
            raise unreadable_metadata(error, noted_location(settings) or place) from error
        usable_location(settings, table.location())
        checksums = _verified(table, settings, place, create=create)
        if create:
            # Here and not before a write: the commit brings what others committed meanwhile, so
            # the cursor has to be read after it.
            add_columns(table, checksums)
    except BaseException:
        catalog.close()
        raise
    return Lake(catalog, table, place=place, checksums=checksums)


def _verified(table: Table, settings: Settings, place: str, *, create: bool) -> Checksums:
    checksums = checksums_of(settings)
    try:
        with faults(place, table):
            checksums.require(metadata_files(table) if create else [table.metadata_location])
    except (*_REACHED, AnalyticsError):
        raise
    except Exception as error:  # whatever the library raises here, it was reading the lake
        raise find_damage(table, checksums, error) from error
    return checksums


def _was_made_by_another(error: Exception) -> bool:
    """Return whether another process may have made the same table of the catalog's database.

    SQLite has its general code for that, PostgreSQL one of its own.
    """
    if not isinstance(error, DBAPIError) or isinstance(error, DuplicateRowError):
        return True
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    code = getattr(error.orig, "sqlite_errorcode", None)
    return state in _DUPLICATE_STATES or code == sqlite3.SQLITE_ERROR


def table_identifier(settings: Settings) -> tuple[str, ...]:
    """Return the table's namespace, part by part, and its name."""
    return (*settings.iceberg_namespace.split("."), settings.iceberg_table_name)


def connect_catalog(settings: Settings) -> Catalog:
    """Return the catalog; a file of it is made where it is missing."""
    file_io = f"{DurableFileIO.__module__}.{DurableFileIO.__name__}"
    if is_elsewhere(settings):
        from annals.lake.waiting import rest_catalog  # noqa: PLC0415 - only where there is one

        return rest_catalog(settings, **{"py-io-impl": file_io})
    require_allowed(settings, "iceberg_catalog_uri")
    given = settings.iceberg_catalog_uri
    make_folder(settings.lake_folder, named=True)
    if given is None:
        make_database(settings.lake_folder / CATALOG_FILE)
    default = f"sqlite:///{settings.lake_folder / CATALOG_FILE}"
    properties = {
        "type": "sql",
        "uri": given.get_secret_value() if given else default,
        "warehouse": f"file://{settings.lake_folder}",
        "py-io-impl": file_io,
    }
    return open_sql_catalog(settings.iceberg_catalog_name, properties)


def _create_table(catalog: Catalog, identifier: tuple[str, ...]) -> Table:
    catalog.create_namespace_if_not_exists(identifier[:-1])
    schema = pyarrow_to_schema(SCHEMA)
    day = PartitionField(
        source_id=schema.find_field("ingested_at").field_id,
        field_id=1000,
        transform=DayTransform(),
        name="ingested_at_day",
    )
    return catalog.create_table(
        identifier, schema, partition_spec=PartitionSpec(day), properties=PROPERTIES
    )


def _refuse_unusable_path(settings: Settings) -> None:
    if unusable := {"?", "#", "%"} & set(str(settings.lake_folder)):
        raise SettingsError(
            f"the lake's folder {settings.lake_folder} has {' '.join(sorted(unusable))} in its path"
            ", which addresses of files give another meaning",
            hint="Set ICEBERG_WAREHOUSE_PATH to a folder without these characters.",
        )


def _refuse_orphaned_data(settings: Settings) -> None:
    """Raise where data files lie in the table's folder although no catalog knows the table."""
    folder = settings.lake_folder / settings.iceberg_namespace / settings.iceberg_table_name
    found = next(folder.glob("metadata/snap-*.avro"), None) or next(
        folder.glob("data/**/*.parquet"), None
    )
    if found:
        place = settings.iceberg_catalog_uri or settings.lake_folder / CATALOG_FILE
        raise IntegrityError(
            f"the lake {folder} has data, but its catalog {place} does not know the table",
            hint="Correct ICEBERG_CATALOG_URI and ICEBERG_CATALOG_NAME if they changed. Else run"
            " `annals repair`, or restore a backup. Nothing was changed.",
            catalog=place,
            folder=folder,
        )


def _refuse_second_lake(settings: Settings) -> None:
    """Raise where a new table would leave behind a lake that is there already."""
    if not is_elsewhere(settings):
        _refuse_orphaned_data(settings)
    elif (settings.lake_folder / CATALOG_FILE).exists():
        raise SettingsError(
            f"there is a lake in {settings.lake_folder}, and none yet as {lake_place(settings)}: a"
            " new one would begin without what is in there",
            hint="Move it with `annals backup` and `annals restore` (docs/operations.md); or, to"
            " begin again, move that folder away.",
            path=settings.lake_folder,
        )


def _no_lake(settings: Settings) -> LakeError:
    if is_elsewhere(settings):
        return LakeError(
            f"no lake exists yet: no table {lake_place(settings)}",
            hint="Run `extract` or `pipeline` first, or correct ICEBERG_CATALOG_URI.",
        )
    return LakeError(
        f"there is no lake in {settings.lake_folder} yet",
        hint="Run `extract` or `pipeline` first, or correct ICEBERG_WAREHOUSE_PATH.",
        path=settings.lake_folder,
    )
