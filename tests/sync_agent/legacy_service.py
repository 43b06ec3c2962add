"""A buffer as the original service wrote it, with the tables that its papers name."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

_TABLES = """
create table pending_entries (
    id integer primary key autoincrement, project_id text not null, session_id text not null,
    entry text not null, created_at text default current_timestamp, synced integer default 0
);
create table file_positions (file_path text primary key, last_position integer);
insert into pending_entries (project_id, session_id, entry) values ('-p', 's', '{"uuid":"gone"}');
"""


def write_buffer(path: Path) -> None:
    """Write a buffer with one row of ``pending_entries``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(_TABLES)
