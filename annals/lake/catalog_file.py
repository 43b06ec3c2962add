"""The catalog of a lake on this machine: a SQLite file that names the newest metadata file."""

from __future__ import annotations

from pathlib import Path

from annals.lake.checksums import Checksums
from annals.settings import Settings

CATALOG_FILE = "catalog.db"

NEWEST_METADATA = (
    "select metadata_location from iceberg_tables"
    " where catalog_name = ? and table_namespace = ? and table_name = ?"
)
"""The query for the newest metadata file; its parameters are :func:`table_row`."""


def catalog_file(settings: Settings) -> Path | None:
    """Return the SQLite file that is the catalog, or None if it is a server or a database."""
    if settings.iceberg_catalog_type != "sql":
        return None
    uri = settings.iceberg_catalog_uri
    if uri is None:
        return settings.lake_folder / CATALOG_FILE
    scheme, _, path = uri.get_secret_value().partition(":///")
    return Path(path) if scheme.startswith("sqlite") else None


def table_row(settings: Settings) -> tuple[str, str, str]:
    """Return the key of the table's row in the catalog file."""
    return (
        settings.iceberg_catalog_name,
        settings.iceberg_namespace,
        settings.iceberg_table_name,
    )


def checksums_of(settings: Settings) -> Checksums:
    """Return the checksums of the lake's metadata: in its catalog, if that is a file."""
    return Checksums(catalog_file(settings), settings.lake_folder)
