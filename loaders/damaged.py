"""Set a damaged warehouse aside: it is made from the lake, so the next run makes it again."""

from __future__ import annotations

import os
from pathlib import Path

from annals.errors import WarehouseDamageError, WarehouseError
from annals.files import open_log, set_aside
from annals.settings import Settings
from loaders import warehouse
from loaders.warehouse import Connection

_MAGIC = slice(8, 12)


def find_damage(settings: Settings) -> str | None:
    """Return what is wrong with the warehouse after reading all of it, or None.

    Damage is noted in a file beside the warehouse: the next pipeline looks there (C9).
    """
    try:
        with warehouse.connect(settings, read_only=True) as connection:
            _read_everything(connection)
    except WarehouseDamageError as error:
        open_log(settings.suspect_warehouse)
        return error.message
    return None


def set_aside_if_damaged(settings: Settings) -> Path | None:
    """Rename a warehouse file that cannot be read to its end; return its new name, else None.

    Everything in it is read once. A file that another process has open, that this user may not
    read, or that a newer DuckDB wrote, is left as it is.
    """
    path = settings.warehouse_file
    if not path.exists() or not os.access(path, os.R_OK | os.W_OK):
        return None
    try:
        with warehouse.connect(settings) as connection:
            _read_everything(connection)
    except WarehouseError as error:
        return (
            None
            if error.context.get("newer") or not _is_ours(settings)
            else _set_warehouse_aside(path)
        )
    return None


def _is_ours(settings: Settings) -> bool:
    """Tell a damaged warehouse from another program's file that DUCKDB_PATH names by mistake."""
    if settings.duckdb_path is None:
        return True
    with settings.warehouse_file.open("rb") as file:
        head = file.read(_MAGIC.stop)
    return head[_MAGIC] == b"DUCK" or not head.strip(b"\0")


def _read_everything(connection: Connection) -> None:
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where not internal"
    ).fetchall()
    for schema, table in tables:
        connection.execute(f'select sum(hash(columns(*))::hugeint) from "{schema}"."{table}"')  # noqa: S608 -- its own names


def _set_warehouse_aside(path: Path) -> Path:
    kept = set_aside(path)
    log = path.with_name(path.name + ".wal")
    if log.exists():
        log.rename(kept.with_name(kept.name + ".wal"))
    return kept
