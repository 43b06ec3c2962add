"""A buffer as the version made it whose records had no agent kind, stored hash and redaction."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from tests.extractors.buffers import LOCATION, Buffer

TABLES = Path(__file__).with_name("first_buffer.sql")
NEW = {"agent_kind", "stored_hash", "redaction"}


def older_buffer(path: Path) -> Buffer:
    """Make a buffer of that version, and return what writes to it as that version did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        tables = TABLES.read_text(encoding="utf-8")
        connection.executescript("pragma journal_mode = wal;" + tables + LOCATION)
        facts = {"schema_version": 1, "agent_id": str(uuid.uuid4()), "pruned_through": 0}
        connection.executemany("insert into meta values (?, ?)", facts.items())
        connection.commit()
    return Buffer(path)
