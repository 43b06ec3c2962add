"""When a checkpoint may rewrite tables: rarely, instead of whenever DuckDB finds it possible.

A checkpoint merges groups of rows that are not full, however few rows are dead: after a full build
that rewrites up to half of each table. So it is forbidden, and allowed again once as many rows were
replaced as a quarter of bronze has, or after many batches: each leaves a small group of rows in
each table, which takes a block of the file and time in each scan. Groups without any live row are
given back in any case.
"""

from __future__ import annotations

from loaders import warehouse
from loaders.completeness_tables import BRONZE, ENTRIES_OF_BATCH
from loaders.warehouse import Connection

_REPLACED = "replaced_rows"
_BATCHES = "batches_since_merge"
_LOADS = "loads_since_merge"
_DEAD_SHARE = 4
"""One row in so many may be dead."""

MOST_PIECES = 64
"""A table may be in so many pieces beside those of the last merge."""

_NOTES = ("meta.data_files", "meta.file_checks")


def note_replaced(connection: Connection, *, is_full: bool) -> None:
    """Note how many entries a transform built again, and let the next checkpoint clean up if due.

    A table loses at most as many rows as its batch has entries.
    """
    noted = 0 if is_full else int(warehouse.state(connection, _REPLACED) or 0)
    batch = 0 if is_full else _count(connection, ENTRIES_OF_BATCH)
    batches = 0 if is_full else 1 + int(warehouse.state(connection, _BATCHES) or 0)
    has_dead = (noted + batch) * _DEAD_SHARE > _count(connection, BRONZE) and batch > 0
    is_due = has_dead or batches >= MOST_PIECES
    warehouse.set_state(connection, _REPLACED, "0" if is_due else str(noted + batch))
    warehouse.set_state(connection, _BATCHES, "0" if is_due else str(batches))
    if is_due:
        connection.execute("reset max_vacuum_tasks")


def merge_notes(connection: Connection) -> None:
    """Write the notes of data files again if so many loads have each added a piece to them.

    To be called in the transaction of a load. Of a warehouse in which loads were never counted the
    notes are written at once.
    """
    counted = warehouse.state(connection, _LOADS)
    loads = MOST_PIECES if counted is None else int(counted) + 1
    warehouse.set_state(connection, _LOADS, "0" if loads >= MOST_PIECES else str(loads))
    if loads < MOST_PIECES:
        return
    for table in _NOTES:
        connection.execute(f"create or replace temp table kept_notes as from {table}")
        connection.execute(f"delete from {table}")  # noqa: S608 - names are constants
        connection.execute(f"insert into {table} from kept_notes")
    connection.execute("drop table if exists temp.kept_notes")


def _count(connection: Connection, relation: str) -> int:
    schema, _, name = relation.partition(".")
    known = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database()"
        " and schema_name = ? and table_name = ?",
        [schema, name],
    ).fetchone()
    row = connection.execute(f"select count(*) from {relation}").fetchone() if known else None  # noqa: S608 - names are constants
    return int(row[0]) if row else 0
