"""The tables of a new buffer, and what a buffer of an older program lacks."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator

from annals.buffer.connection import transaction
from annals.buffer.schema import (
    ADDITIONS,
    PAGE_BYTES,
    SCHEMA_VERSION,
    TABLES,
    additions,
    table_columns,
)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new buffer, under a new agent id."""
    connection.execute(f"pragma page_size = {PAGE_BYTES}")
    connection.execute("pragma auto_vacuum = incremental")
    connection.execute("pragma journal_mode = wal")
    with transaction(connection, "begin immediate"):
        for statement in filter(str.strip, (TABLES + ADDITIONS).split(";")):
            connection.execute(statement)
        connection.executemany(
            "insert into meta (key, value) values (?, ?)",
            [
                ("schema_version", SCHEMA_VERSION),
                ("agent_id", str(uuid.uuid4())),
                ("pruned_through", 0),
                ("created_at", time.time_ns() // 1000),
            ],
        )


def add_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, and the columns of records, that a buffer of an older program lacks."""
    for statement in filter(str.strip, ADDITIONS.split(";")):
        connection.execute(statement)
    if any(_missing_columns(connection)):
        # Looked up again: another thread of the agent may have added them in between.
        with transaction(connection, "begin immediate"):
            for statement in list(_missing_columns(connection)):
                connection.execute(statement)


def _missing_columns(connection: sqlite3.Connection) -> Iterator[str]:
    for table in ("records", "dead_letters"):
        yield from additions(table, table_columns(connection, table))
