"""What the catalog file says without Iceberg's library: where the newest metadata file is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from analytics.lake.content import local_path
from analytics.settings import Settings

CATALOG_FILE = "catalog.db"
_LOCATION = (
    "select metadata_location from iceberg_tables"
    " where catalog_name = ? and table_namespace = ? and table_name = ?"
)


def catalog_file(settings: Settings) -> Path | None:
    """Return the SQLite file that is the catalog, or None if it is a server or a database."""
    if settings.iceberg_catalog_type != "sql":
        return None
    if settings.iceberg_catalog_uri is None:
        return settings.lake_folder / CATALOG_FILE
    scheme, _, path = settings.iceberg_catalog_uri.get_secret_value().partition(":///")
    return Path(path) if scheme.startswith("sqlite") else None


def noted_location(settings: Settings) -> Path | None:
    """Return the metadata file that the catalog file names, or None if it cannot be read."""
    catalog = catalog_file(settings)
    if catalog is None or not catalog.exists():
        return None
    names = (
        settings.iceberg_catalog_name,
        settings.iceberg_namespace,
        settings.iceberg_table_name,
    )
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{quote(bytes(catalog))}?mode=rw", uri=True)
        with contextlib.closing(connection):
            row = connection.execute(_LOCATION, names).fetchone()
        return local_path(row[0]) if row and isinstance(row[0], str) else None
    return None
