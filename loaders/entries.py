"""The lake's rows as DuckDB sees them: raw views over its data files, and what is pending.

DuckDB reads the lake's Parquet files in place; no raw line is copied into the warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annals.records.columns import DEFAULTS, LAKE_COLUMNS
from loaders.warehouse import Connection, quoted

COLUMNS: Mapping[str, str] = {column.name: column.type.duckdb for column in LAKE_COLUMNS}
"""The columns of the lake's table and of the views over it, with DuckDB's types."""

_VIEWS = ("records", "new_records")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of the lake. ``snapshot_id`` is the snapshot that was read to find it."""

    file_path: str
    snapshot_id: int
    record_count: int
    file_size: int


def known_files(connection: Connection) -> dict[str, bool]:
    """Return the paths of the loaded data files, each with whether its rows are still pending."""
    return dict(connection.execute("select file_path, is_pending from meta.data_files").fetchall())


def has_views(connection: Connection) -> bool:
    """Return whether the raw views are there, with all columns; an older program made fewer."""
    found = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where schema_name = 'raw' and table_name in ('records', 'new_records') group by all"
    ).fetchall()
    return len(found) == len(_VIEWS) and all(names == list(COLUMNS) for _, names in found)


def add_files(connection: Connection, files: Sequence[DataFile], *, is_pending: bool) -> None:
    """Note data files as loaded; ``is_pending`` says that their rows are not yet transformed."""
    if not files:
        return
    connection.execute(
        "insert into meta.data_files select unnest(?), unnest(?), unnest(?), unnest(?), ?",
        [
            [file.file_path for file in files],
            [file.snapshot_id for file in files],
            [file.record_count for file in files],
            [file.file_size for file in files],
            is_pending,
        ],
    )


def drop_files(connection: Connection, paths: Sequence[str]) -> None:
    """Forget data files that the lake's table no longer has."""
    if paths:
        connection.execute(
            "delete from meta.data_files where list_contains(?, file_path)", [list(paths)]
        )


def add_pending_sessions(
    connection: Connection, files: Sequence[DataFile], field_ids: Mapping[str, int]
) -> int:
    """Note the sessions of these files as to be rebuilt; return how many are pending now.

    Only entries count: a file or quarantine record changes nothing that is built per session. Files
    that were loaded before and are pending still are not read again.
    """
    if files:
        rows = _rows([file.file_path for file in files], field_ids)
        connection.execute(
            "insert into meta.pending_sessions select distinct session_id"  # noqa: S608 - as in _rows
            f" from ({rows}) where record_kind = 'entry'"
            " and session_id not in (select session_id from meta.pending_sessions)"
        )
    return count_pending_sessions(connection)


def count_pending_sessions(connection: Connection) -> int:
    """Return the number of distinct sessions that the next transform rebuilds."""
    row = connection.execute(
        "select count(distinct session_id) from meta.pending_sessions"
    ).fetchone()
    return row[0] if row else 0


def is_pending(connection: Connection) -> bool:
    """Return whether anything waits for the next transform, or was left by one that died."""
    row = connection.execute(
        "select exists (from meta.data_files where is_pending)"
        " or exists (from meta.pending_sessions) or exists (from meta.pending_days)"
    ).fetchone()
    return bool(row and row[0])


def count_rows(connection: Connection, *, only_pending: bool) -> int:
    """Return the number of rows in the loaded data files, as the lake's manifests say."""
    row = connection.execute(
        "select coalesce(sum(record_count), 0) from meta.data_files where is_pending or not ?",
        [only_pending],
    ).fetchone()
    return int(row[0]) if row else 0


def clear_pending(connection: Connection) -> None:
    """Note that everything pending is transformed."""
    connection.execute("delete from meta.pending_sessions")
    connection.execute("delete from meta.pending_days")
    connection.execute("update meta.data_files set is_pending = false where is_pending")
    _point(connection, "new_records", [], {})


def count_sessions(connection: Connection, *, only_pending: bool) -> int:
    """Return the number of distinct sessions that are pending, or of all in the lake."""
    if only_pending:
        return count_pending_sessions(connection)
    row = connection.execute(
        "select count(distinct session_id) from raw.records where record_kind = 'entry'"
    ).fetchone()
    return int(row[0]) if row else 0


def point_views(connection: Connection, field_ids: Mapping[str, int]) -> None:
    """Make ``raw.records`` and ``raw.new_records`` read the data files noted in ``meta``.

    ``field_ids`` are the Iceberg field ids of the table's columns, by which the columns are found
    in each file, as Iceberg has it; a column the table lacks is null, or its default.
    """
    rows = connection.execute(
        "select file_path, is_pending from meta.data_files order by file_path"
    ).fetchall()
    _point(connection, "records", [path for path, _ in rows], field_ids)
    _point(connection, "new_records", [path for path, pending in rows if pending], field_ids)


def move_views(connection: Connection, old: str, new: str) -> None:
    """Let the raw views read the files below ``new`` that they read below ``old``."""
    for name, text in connection.execute(
        "select view_name, sql from duckdb_views() where schema_name = 'raw'"
        " and view_name in ('records', 'new_records')"
    ).fetchall():
        moved = text.replace(quoted(f"{old}/")[:-1], quoted(f"{new}/")[:-1])
        _, _, body = moved.partition(" AS ")
        connection.execute(f"create or replace view raw.{name} as {body}")


def _point(
    connection: Connection, view: str, paths: Sequence[str], field_ids: Mapping[str, int]
) -> None:
    connection.execute(f"create or replace view raw.{view} as {_rows(paths, field_ids)}")


def _rows(paths: Sequence[str], field_ids: Mapping[str, int]) -> str:
    """Return the query for the rows of these files, in the lake's columns."""
    present = {name: field_ids[name] for name in COLUMNS if name in field_ids}
    columns = ", ".join(_column(name, is_there=bool(paths) and name in present) for name in COLUMNS)
    relation = _parquet(paths, present) if paths else "(select 1) where false"
    return f"select {columns} from {relation}"  # noqa: S608 - names are constants, paths are quoted


def _column(name: str, *, is_there: bool) -> str:
    """Return a column of the views; files of older programs lack some, which read as defaults."""
    value = f'"{name}"' if is_there else f"cast(null as {COLUMNS[name]})"
    if name in DEFAULTS:
        value = f"coalesce({value}, {quoted(DEFAULTS[name])})"
    return value if value == f'"{name}"' else f'{value} as "{name}"'


def _parquet(paths: Sequence[str], field_ids: Mapping[str, int]) -> str:
    # Files are opened only when they are read: the schema is given, so none is sniffed. Folder
    # names such as ingested_at_day=... are Iceberg's business and no columns.
    fields = ", ".join(
        f"{number}: {{name: '{name}', type: '{COLUMNS[name]}', default_value: null}}"
        for name, number in field_ids.items()
    )
    files = ", ".join(quoted(path) for path in paths)
    return (
        f"read_parquet([{files}], schema = map {{{fields}}}, hive_partitioning = false,"
        " union_by_name = false)"
    )
