"""What the catalog file says without Iceberg's library: where the newest metadata file is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from annals.lake.catalog_file import NEWEST_METADATA, catalog_file, table_row
from annals.lake.content import local_path
from annals.settings import Settings


def noted_location(settings: Settings) -> Path | None:
    """Return the metadata file that the catalog file names, or None if it cannot be read."""
    catalog = catalog_file(settings)
    if catalog is None or not catalog.exists():
        return None
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{quote(bytes(catalog))}?mode=rw", uri=True)
        with contextlib.closing(connection):
            row = connection.execute(NEWEST_METADATA, table_row(settings)).fetchone()
        return local_path(row[0]) if row and isinstance(row[0], str) else None
    return None
