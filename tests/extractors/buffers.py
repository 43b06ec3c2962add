"""Buffers for tests: the sync agent's own tables, filled with records as a test needs them."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from annals.buffer.schema import SCHEMA_VERSION, TABLES
from annals.records import entry_id
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import open_buffer

DAY = 24 * 60 * 60 * 1_000_000
INGESTED_AT = 20_000 * DAY
LOCATION = """
insert into locations values (1, 'testhost', x'2f72', 'project', '/r/project/s.jsonl', 's.jsonl',
    x'732e6a736f6e6c', x'2f722f70726f6a6563742f732e6a736f6e6c');
"""
INSERT = """
insert into records (entry_id, record_kind, location_id, file_generation, byte_offset, byte_length,
    session_id, type, uuid, parent_uuid, timestamp, request_id, version, cwd, git_branch,
    is_sidechain, reason, ingested_at, raw)
values (:entry_id, :record_kind, 1, 0, :byte_offset, :byte_length, :session_id, :type, :uuid,
    :parent_uuid, :timestamp, :request_id, :version, :cwd, :git_branch, :is_sidechain, :reason,
    :ingested_at, :raw)
"""


class Buffer:
    """A buffer file that a test writes to, one transaction a call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript("pragma journal_mode = wal;" + TABLES + LOCATION)
                facts = {
                    "schema_version": SCHEMA_VERSION,
                    "agent_id": str(uuid.uuid4()),
                    "pruned_through": 0,
                }
                connection.executemany("insert into meta values (?, ?)", facts.items())
                connection.commit()

    def execute(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement in a transaction of its own and return its rows."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    @property
    def agent_id(self) -> str:
        """The buffer's agent id now."""
        return str(self.execute("select value from meta where key = 'agent_id'")[0][0])

    def append(self, raws: Iterable[bytes], **fields: Any) -> list[str]:
        """Append records in one transaction and return their ids in hex."""
        rows = [self.row(raw, **fields) for raw in raws]
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany(INSERT, rows)
        return [row["entry_id"].hex() for row in rows]

    def row(self, raw: bytes, **fields: Any) -> dict[str, Any]:
        """Return the columns of the next record with these raw bytes."""
        offset, self.offset = self.offset, self.offset + len(raw) + 1
        return {
            "entry_id": entry_id(b"s.jsonl", offset, raw),
            "record_kind": "entry",
            "byte_offset": offset,
            "byte_length": len(raw),
            "session_id": "session-1",
            "type": "user",
            "uuid": None,
            "parent_uuid": None,
            "timestamp": "2025-06-01T12:00:00.123Z",
            "request_id": None,
            "version": "2.0.0",
            "cwd": "/home/someone/project",
            "git_branch": "main",
            "is_sidechain": 0,
            "reason": None,
            "ingested_at": INGESTED_AT,
            "raw": raw,
            **fields,
        }

    def append_entries(self, count: int, **fields: Any) -> list[str]:
        """Append ``count`` small entries, each with bytes of its own."""
        numbers = range(self.offset, self.offset + count)
        return self.append((json.dumps({"n": number}).encode() for number in numbers), **fields)

    def prune(self) -> None:
        """Delete what every consumer has acknowledged, as every sync does."""
        with open_buffer(self.path) as buffer:
            prune(buffer, retention_days=0)

    def copy(self, path: Path) -> Buffer:
        """Copy the buffer to another file, as a backup would."""
        with (
            closing(sqlite3.connect(self.path)) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
        copied = Buffer(path)
        copied.offset = self.offset
        return copied
