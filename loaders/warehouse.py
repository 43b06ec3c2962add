"""The one module that speaks DuckDB: connections, DDL, transactions, and its errors as ours.

A DuckDB file is open in one read-write process or in many read-only ones, never both; so the
pipeline alone opens the warehouse file, and readers open a published build.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection as Connection

from annals.errors import WarehouseError
from annals.files import make_folder, require_database
from annals.lake import is_elsewhere, lake_place
from annals.settings import Settings
from loaders.memory import AUTOMATIC, memory_limit, spill_folder
from loaders.moved_build import CATALOG, READING_SESSIONS, views_elsewhere
from loaders.object_store import reach_objects
from loaders.warehouse_errors import (
    REBUILD_HINT,
    Fault,
    damaged_database,
    error_for,
    is_of_store,
    opening_error,
    parquet_error,
)

__all__ = [
    "Connection",
    "FULL_BUILD",
    "REBUILD",
    "SCHEMA_VERSION",
    "connect",
    "drop_layers",
    "error_for",
    "held_open",
    "in_memory",
    "is_moved",
    "open_build",
    "prepare",
    "quoted",
    "reading_file",
    "require_layers",
    "require_openable",
    "state",
    "set_state",
    "transaction",
    "translated",
    "views_file",
]

SCHEMA_VERSION = 1
"""Version of the tables below; part of the transform signature."""

REBUILD = "rebuild"
"""Key of the state that makes the next transform build everything again; its value says why."""

FULL_BUILD = "a full build was begun"
"""That value, while the layers are not there or only some of their tables."""

_DDL = """
create schema if not exists raw;
create schema if not exists meta;
create table if not exists meta.data_files (
    file_path varchar not null, snapshot_id bigint not null, record_count bigint not null,
    file_size bigint not null, is_pending boolean not null
);
create table if not exists meta.load_cursor (table_uuid varchar not null, snapshot_id bigint);
create table if not exists meta.pending_sessions (session_id varchar);
create table if not exists meta.pending_days (usage_date date);
create table if not exists meta.changed_months (table_name varchar not null, month varchar);
create table if not exists meta.published_files (
    table_name varchar not null, month varchar, file_name varchar not null,
    row_count bigint not null
);
create table if not exists meta.state (key varchar not null, value varchar);
create table if not exists meta.model_prices (
    provider varchar not null, model_rule varchar not null, priority integer not null,
    match_all varchar[] not null, valid_from timestamptz, valid_to timestamptz,
    daily_from time, daily_to time, speed varchar, service_tier varchar,
    threshold_tokens bigint not null,
    input_usd_per_million decimal(18, 6), output_usd_per_million decimal(18, 6),
    cache_write_5m_usd_per_million decimal(18, 6), cache_write_1h_usd_per_million decimal(18, 6),
    cache_read_usd_per_million decimal(18, 6), web_search_usd_per_thousand decimal(18, 6),
    source varchar not null, book_version varchar not null
);
"""


TITLES = "session_titles"
"""The view of an open build that has the rows of ``reading.sessions``."""


@contextlib.contextmanager
def connect(settings: Settings, *, read_only: bool = False) -> Iterator[Connection]:
    """Open the warehouse file, creating it and its tables where they are missing.

    Days and instants are shown in UTC. Inside another ``connect`` of this process both share one
    database: it is read once, and checkpointed when the outer one ends. Raises LockedError (exit 7)
    naming the process that has the file open, WarehouseError for a file that is none of ours or
    broken, DiskFullError; errors of the body's own queries are translated the same way.
    """
    path = settings.warehouse_file
    if read_only and not path.exists():
        raise WarehouseError(
            f"there is no warehouse at {path}",
            hint="Run `annals pipeline`, which builds it.",
            path=path,
        )
    with translated(path, settings):
        make_folder(path.parent, named=True)
        require_database(path)
        with contextlib.closing(_open(path, read_only=read_only)) as connection:
            _configure(connection, settings)
            _name_errors(connection)
            _spill_to(connection, settings)
            reach_objects(connection, settings)
            if not read_only:
                prepare(connection)
            yield connection


def _open(path: Path, *, read_only: bool) -> Connection:
    """Open a DuckDB file; whatever else is wrong with one that may be read is damage.

    A holder of its lock that has left since then is not a cause any more: so it is opened twice.
    """
    for is_last in (False, True):
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            if known := opening_error(path, error, read_only=read_only):
                raise known from error
            if is_last:
                raise damaged_database(path, Fault.of(error).line) from error
    raise AssertionError


def require_openable(settings: Settings) -> None:
    """Raise the error of :func:`connect` if the warehouse file is there and cannot be opened."""
    if settings.warehouse_file.exists():
        with connect(settings):
            pass


@contextlib.contextmanager
def held_open(settings: Settings) -> Iterator[None]:
    """Keep the file open while a library opens it too, so that it reaches the lake's files.

    What a connection knows of an object store all others of its process know. For a lake on local
    disks this does nothing.
    """
    with connect(settings) if is_elsewhere(settings) else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def in_memory(settings: Settings) -> Iterator[Connection]:
    """Open a warehouse of its own in memory, with empty tables; nothing of it is kept."""
    place = lake_place(settings)
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        with translated(place, settings):
            _configure(connection, settings)
            _name_errors(connection)
            _spill_to(connection, settings)
            reach_objects(connection, settings)
            prepare(connection)
        try:
            yield connection
        except duckdb.Error as error:  # errors of output stay as they are
            raise error_for(place, error, settings=settings) from error


def _configure(connection: Connection, settings: Settings) -> None:
    # Set, not passed to connect: dbt passes nothing, and one process opens a file one way only.
    connection.execute(f"set memory_limit = {quoted(memory_limit(settings))}")
    connection.execute(f"set threads = {settings.duckdb_threads}")
    connection.execute("set preserve_insertion_order = false")
    # In a process without a main file DuckDB draws one on standard output, among the data.
    connection.execute("set enable_progress_bar = false")
    connection.execute("set autoinstall_known_extensions = false")
    # Trying these takes longer than all else that a checkpoint does, and saves next to nothing.
    connection.execute("set disabled_compression_methods = 'fsst,dict_fsst,zstd'")
    connection.execute("set max_vacuum_tasks = 0")  # loaders.compaction says when
    connection.execute("set timezone = 'UTC'")


def _name_errors(connection: Connection) -> None:
    """Let errors carry their type and the system's number, and not a sentence alone."""
    connection.execute("set errors_as_json = true")


def _spill_to(connection: Connection, settings: Settings) -> None:
    """Set where DuckDB puts what memory cannot hold, and how much of it."""
    beside = spill_folder(settings.model_copy(update={"duckdb_spill_path": None}))
    with contextlib.suppress(FileNotFoundError):  # DuckDB removes it when it is done
        if os.path.lexists(beside):  # and follows whatever has that name
            make_folder(beside)
    folder = spill_folder(settings)
    now = connection.execute("select current_setting('temp_directory')").fetchone()
    if now != (str(folder),):  # not even to itself, once something was spilled
        connection.execute(f"set temp_directory = {quoted(folder)}")
    if settings.duckdb_spill_limit != AUTOMATIC:
        connection.execute(f"set max_temp_directory_size = {quoted(settings.duckdb_spill_limit)}")


def drop_layers(connection: Connection) -> None:
    """Drop all that a full build makes again, so that the file never holds both."""
    for layer in ("reading", "gold", "silver", "bronze"):
        connection.execute(f"drop schema if exists {layer} cascade")
    # Until a checkpoint their blocks are not free. It is refused only while another connection of
    # this process writes. No stage has one here: each closes its own, and one lock keeps runs
    # apart. A program that embeds the stages may have one: then the file grows, no row is touched,
    # and the checkpoint at the end of the transform frees the blocks.
    with contextlib.suppress(duckdb.TransactionException):
        connection.execute("checkpoint")


def require_layers(connection: Connection) -> None:
    """Raise WarehouseError where a full build was cut short, which leaves only some tables."""
    if state(connection, REBUILD) == FULL_BUILD:
        raise WarehouseError(
            "a full build did not come to its end, and not all tables are there again",
            hint="Run `annals transform`, or `annals pipeline`: it finishes the build from the"
            " lake. Nothing is lost, and what was published stays readable.",
        )


def prepare(connection: Connection) -> None:
    """Create what is missing of the schemas ``raw`` and ``meta``; write nothing where all is there.

    Raises WarehouseError where the file was made by another version of these tables.
    """
    known = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'meta' and table_name = 'state'"
    ).fetchone()
    if known == (0,):
        with transaction(connection):
            connection.execute(_DDL)
            set_state(connection, "schema_version", str(SCHEMA_VERSION))
        return
    found = state(connection, "schema_version")
    if found != str(SCHEMA_VERSION):
        places = connection.execute("select path from duckdb_databases() where not internal")
        path = places.fetchall()[0][0]
        raise WarehouseError(
            f"{path} has tables of version {found}, this program needs {SCHEMA_VERSION}",
            hint=REBUILD_HINT,
            path=path,
        )


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what the body does, or nothing of it where it raises."""
    connection.execute("begin transaction")
    try:
        yield
    except BaseException:
        with contextlib.suppress(duckdb.Error):  # a fatal error has rolled back already
            connection.execute("rollback")
        raise
    connection.execute("commit")


def state(connection: Connection, key: str) -> str | None:
    """Return the value that the pipeline noted under ``key``, or None."""
    row = connection.execute("select value from meta.state where key = ?", [key]).fetchone()
    return None if row is None else row[0]


def set_state(connection: Connection, key: str, value: str) -> None:
    """Note ``value`` under ``key``."""
    connection.execute("delete from meta.state where key = ?", [key])
    connection.execute("insert into meta.state values (?, ?)", [key, value])


def open_build(
    settings: Settings, folder: Path | None = None, *, with_titles: bool = False
) -> Connection:
    """Open a build read-only, the caller closes it: the one in ``folder``, or the current one.

    The connection stays on this one build however often newer ones are published. Text of
    conversations is in it only ``with_titles``: as the view :data:`TITLES`. Raises WarehouseError
    if nothing is published yet, or if titles are wanted and an older version published the build.
    """
    current = settings.builds_folder / "current"
    catalog = (folder or current).resolve() / CATALOG
    if not catalog.exists():
        raise WarehouseError(
            f"nothing is published at {settings.builds_folder}",
            hint="Run `annals pipeline`, which publishes a build.",
            path=current,
        )
    titles = catalog.with_name(READING_SESSIONS)
    if with_titles and not titles.exists():
        raise WarehouseError(
            "the published build has no titles: it is of an older version, or incomplete",
            hint="Run `annals pipeline`, which publishes a new one.",
            path=titles,
        )
    with translated(catalog):
        connection = _open(catalog, read_only=True)
        _configure(connection, settings)
        _spill_to(connection, settings)  # readers may lack the right to write beside the build
        if views := views_elsewhere(connection, catalog.parent):
            connection.close()
            connection = _rebased(catalog, views)
            _configure(connection, settings)
            _spill_to(connection, settings)
        if with_titles:
            rows = f"from read_parquet({quoted(titles)})"
            connection.execute(f"create temp view {TITLES} as {rows}")
        return connection


def is_moved(build: Connection) -> bool:
    """Return whether :func:`open_build` had to rewrite the views of this build."""
    return build.execute("select 1 from duckdb_tables() where table_name = 'moved'").fetchone() == (
        1,
    )


def _rebased(catalog: Path, views: dict[str, str]) -> Connection:
    """Open a moved build: its tables, and its views over the files beside it."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("create temp table moved (path varchar)")
        connection.execute(f"attach {quoted(catalog)} as moved_build (read_only)")
        connection.execute("create schema gold")
        connection.execute("create schema meta")
        connection.execute("create table meta.build as from moved_build.meta.build")
        connection.execute("detach moved_build")
        for name, body in views.items():
            connection.execute(f"create view gold.{name} as {body}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def views_file(path: Path) -> Iterator[Connection]:
    """Make a small DuckDB file of its own, such as the catalog of a build, and open it to write.

    It has the smallest blocks that DuckDB knows: views take kilobytes, not half a megabyte.
    """
    with translated(path), contextlib.closing(duckdb.connect()) as connection:
        connection.execute("set timezone = 'UTC'")
        _name_errors(connection)
        connection.execute(f"attach {quoted(path)} as views (block_size 16384)")
        connection.execute("use views")
        yield connection
        connection.execute("use memory")
        connection.execute("detach views")


def quoted(path: Path | str) -> str:
    """Return a path as a string of SQL, for statements that take no parameters."""
    return "'" + str(path).replace("'", "''") + "'"


@contextlib.contextmanager
def reading_file(path: str) -> Iterator[None]:
    """Turn whatever DuckDB raises while it reads this one file of the lake into its damage.

    What an object store answers is left to :func:`connect`, which can ask the store again.
    """
    try:
        yield
    except duckdb.Error as error:
        if is_of_store(path, error):
            raise
        raise parquet_error(path, error) from error


@contextlib.contextmanager
def translated(path: Path | str, settings: Settings | None = None) -> Iterator[None]:
    """Turn DuckDB's errors about the file ``path`` into those of ``annals.errors``."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise error_for(path, error, settings=settings) from error
