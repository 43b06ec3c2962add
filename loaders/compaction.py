"""When a checkpoint may rewrite tables: rarely, instead of whenever DuckDB finds it possible.

A checkpoint merges groups of rows that are not full, however few rows are dead: after a full build
that rewrites up to half of each table. So it is forbidden, and allowed again once as many rows were
replaced as a quarter of bronze has. Groups without any live row are given back in any case.
"""

from __future__ import annotations

from loaders import warehouse
from loaders.completeness_tables import BRONZE, ENTRIES_OF_BATCH
from loaders.warehouse import Connection

_REPLACED = "replaced_rows"
_DEAD_SHARE = 4
"""One row in so many may be dead."""


def note_replaced(connection: Connection, *, is_full: bool) -> None:
    """Note how many entries a transform built again, and let the next checkpoint clean up if due.

    A table loses at most as many rows as its batch has entries.
    """
    noted = 0 if is_full else int(warehouse.state(connection, _REPLACED) or 0)
    batch = 0 if is_full else _count(connection, ENTRIES_OF_BATCH)
    is_due = (noted + batch) * _DEAD_SHARE > _count(connection, BRONZE) and batch > 0
    warehouse.set_state(connection, _REPLACED, "0" if is_due else str(noted + batch))
    if is_due:
        connection.execute("reset max_vacuum_tasks")


def _count(connection: Connection, relation: str) -> int:
    schema, _, name = relation.partition(".")
    known = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [schema, name],
    ).fetchone()
    row = connection.execute(f"select count(*) from {relation}").fetchone() if known else None  # noqa: S608 - names are constants
    return int(row[0]) if row else 0
