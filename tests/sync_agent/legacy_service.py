"""Buffers as the original service wrote them, with the columns that its papers name."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCUMENTED = """
create table pending_entries (
    id integer primary key autoincrement, project_id text not null, session_id text not null,
    file_path text, entry text not null, created_at text default current_timestamp,
    synced integer default 0
);
create table file_positions (file_path text primary key, last_position integer, updated_at text);
"""
CAMEL = """
create table pending_entries (
    id integer primary key, projectId text, sessionId text, payload text, createdAt integer,
    isSynced boolean
);
create table file_positions (filePath text primary key, position integer);
"""


def entry(uuid: str | None, session: str = "s", **members: Any) -> str:
    """Return an entry as that service kept it: parsed, and printed again in its own way."""
    named = {"uuid": uuid} if uuid else {}
    return json.dumps({"type": "user", "sessionId": session, **named, **members}, indent=1)


def write_buffer(path: Path, rows: Iterable[dict[str, Any]], *, tables: str = DOCUMENTED) -> None:
    """Write a buffer with rows of ``pending_entries``; all of it stays in the log, as live."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(tables)
        for row in rows:
            names, places = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"insert into pending_entries ({names}) values ({places})", tuple(row.values())
            )
