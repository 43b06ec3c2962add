"""A lake behind a catalog server, fetched to this disk and sent back: for backup and restore."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pyarrow.fs import LocalFileSystem, copy_files
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.table import Table

from annals.errors import UsageError
from annals.files import make_folder
from annals.lake import lake_place, usable_location
from annals.lake.catalog_file import CATALOG_FILE
from annals.settings import Settings
from extractors.entries import SCHEMA
from extractors.lake.catalog import connect_catalog, table_identifier
from extractors.lake.durable import DurableFileIO
from extractors.lake.relocation import relocate_files
from extractors.lake.table import faults


def fetch_lake(settings: Settings, folder: Path) -> None:
    """Make ``folder`` a lake on this disk, with a catalog file, of all that the far one holds.

    Raises what opening a lake raises, and DiskFullError.
    """
    identifier = table_identifier(settings)
    target = folder / settings.iceberg_namespace / settings.iceberg_table_name
    make_folder(target)
    with _catalog(settings) as catalog:
        table = catalog.load_table(identifier)
        location = usable_location(settings, table.location())
        _copy(table, inward=target)
    relocate_files(target, old=location, new=target)
    newest = table.metadata_location.rpartition("/")[2]
    with contextlib.closing(
        SqlCatalog(
            settings.iceberg_catalog_name,
            uri=f"sqlite:///{folder / CATALOG_FILE}",
            warehouse=f"file://{folder}",
        )
    ) as local:
        local.create_namespace(identifier[:-1])
        local.register_table(identifier, f"file://{target}/metadata/{newest}")


def send_lake(settings: Settings, folder: Path, *, old: Path, newest: str) -> str:
    """Send a table's folder to where the catalog server puts it; return its metadata's location.

    The files in ``folder`` name each other as in ``old`` and are rewritten for the new place;
    ``newest`` is the name of the newest metadata file. Nobody sees the table before
    :func:`register_lake`. Raises UsageError where it is there already.
    """
    identifier = table_identifier(settings)
    with _catalog(settings) as catalog:
        catalog.create_namespace_if_not_exists(identifier[:-1])
        try:
            staged = catalog.create_table_transaction(identifier, pyarrow_to_schema(SCHEMA))
        except TableAlreadyExistsError as error:
            raise UsageError(
                f"the lake {lake_place(settings)} is there already; a restore goes into an empty"
                " place only",
                hint="Set ICEBERG_NAMESPACE or ICEBERG_CATALOG_URI to an empty place.",
            ) from error
        location = usable_location(settings, staged.table_metadata.location)
        relocate_files(folder, old=old, new=location)
        _copy(staged._table, outward=folder)  # noqa: SLF001 -- a staged table has no other door
    return f"{location}/metadata/{newest}"


def register_lake(settings: Settings, metadata: str) -> None:
    """Let the catalog server know the table that was sent; done twice, it is done once."""
    identifier = table_identifier(settings)
    with _catalog(settings) as catalog:
        try:
            known = catalog.load_table(identifier).metadata_location
        except NoSuchTableError:
            catalog.register_table(identifier, metadata)
            return
        if known != metadata:
            raise UsageError(
                f"the lake {lake_place(settings)} was made by somebody else meanwhile",
                hint="Set ICEBERG_NAMESPACE or ICEBERG_CATALOG_URI to an empty place.",
            )


@contextlib.contextmanager
def _catalog(settings: Settings) -> Iterator[Catalog]:
    place = lake_place(settings)
    with faults(place), contextlib.closing(connect_catalog(settings)) as catalog:
        yield catalog


def _copy(table: Table, *, inward: Path | None = None, outward: Path | None = None) -> None:
    """Copy all files below a table's location to a folder, or those of a folder to there."""
    io = DurableFileIO(table.io.properties)
    scheme, host, path = io.parse_location(table.location(), io.properties)
    there, here = io.fs_by_scheme(scheme, host), LocalFileSystem()
    if inward is not None:
        copy_files(path, str(inward), source_filesystem=there, destination_filesystem=here)
    elif outward is not None:
        copy_files(str(outward), path, source_filesystem=here, destination_filesystem=there)
