"""Recognize a lake whose folder was moved, and let the warehouse name its files where they are now.

Iceberg's metadata and the warehouse name every file by its absolute path. If the settings name
another folder, and the same files are below that, the lake was moved; nothing is lost.
"""

from __future__ import annotations

from pathlib import Path

from annals.lake import is_elsewhere
from annals.lake.moving import moved_from
from annals.settings import Settings
from loaders import entries
from loaders.warehouse import Connection, transaction


def rebase_files(connection: Connection, settings: Settings) -> str | None:
    """Rewrite the paths of known data files if the lake was moved; return where it was before."""
    if is_elsewhere(settings):
        return None
    folder = str(settings.lake_folder)
    row = connection.execute(
        "select file_path from meta.data_files where not starts_with(file_path, ?)"
        " and not contains(file_path, '://') limit 1",
        [f"{folder}/"],
    ).fetchone()
    old = moved_from(Path(row[0]), settings) if row else None
    if old is None:
        return None
    with transaction(connection):
        for table in ("data_files", "file_checks"):
            connection.execute(
                f"update meta.{table} set file_path = ? || substr(file_path, ?)"  # noqa: S608 -- a constant
                " where starts_with(file_path, ?)",
                [folder, len(str(old)) + 1, f"{old}/"],
            )
        entries.move_views(connection, str(old), folder)
    return str(old)
