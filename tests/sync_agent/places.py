"""A folder of transcripts with a buffer beside it, and questions to both."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from annals.settings import Settings, load_settings
from sync_agent.agent.once import SyncReport, sync_once
from sync_agent.reading.ledger import Custody, custody

CHAT = "-home-u-project/11111111-0000-4000-8000-000000000000.jsonl"
_clock = itertools.count(1_700_000_000_000_000_000, 1_000_000_000)


class Kept(NamedTuple):
    """A record as the buffer has it, with the names of its file."""

    seq: int
    entry_id: bytes
    kind: str
    key: bytes
    path: bytes
    generation: int
    offset: int
    session_id: str
    type: str | None
    reason: str | None
    raw: bytes


class Place:
    """One root of transcripts and one buffer, in ``folder``."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.root = folder / "projects"
        self.root.mkdir(parents=True, exist_ok=True)
        settings.setdefault("sqlite_path", folder / "state" / "buffer.db")
        self.settings: Settings = load_settings(
            claude_dir=self.root, annals_home=folder / "state", **settings
        )

    def write(self, name: str, data: bytes, *, mtime_ns: int | None = None) -> Path:
        """Write a file below the root; its modification time is one no other file had."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return stamp(path, mtime_ns)

    def append(self, name: str, data: bytes) -> Path:
        """Append to a file below the root."""
        path = self.root / name
        with path.open("ab") as file:
            file.write(data)
        return stamp(path)

    def sync(self, **arguments: Any) -> SyncReport:
        """Read what is new."""
        return sync_once(self.settings, **arguments)

    def custody(self) -> Custody:
        """Return the byte ledger."""
        return custody(self.settings)

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Ask the buffer."""
        with contextlib.closing(sqlite3.connect(self.settings.sqlite_path)) as connection:
            return connection.execute(sql, values).fetchall()

    def kept(self, kind: str | None = None) -> list[Kept]:
        """Return the buffered records of one kind, or all, in order."""
        rows = self.query(
            "select seq, entry_id, record_kind, key_bytes, path_bytes, file_generation,"
            " byte_offset, session_id, type, reason, raw from records"
            " join locations using (location_id) where record_kind = coalesce(?, record_kind)"
            " order by seq",
            kind,
        )
        return [Kept._make(row) for row in rows]

    def lines(self) -> list[bytes]:
        """Return the raw bytes of every buffered entry."""
        return [entry.raw for entry in self.kept("entry")]

    def events(self) -> list[str | None]:
        """Return what the file records tell, in order."""
        return [record.type for record in self.kept("file")]


def stamp(path: Path, mtime_ns: int | None = None) -> Path:
    """Give a file a modification time; without one given, one later than every other."""
    at = next(_clock) if mtime_ns is None else mtime_ns
    os.utime(path, ns=(at, at))
    return path


def assert_balanced(report: Custody) -> None:
    """Check that every byte on disk is in exactly one place of the ledger."""
    parts = (
        report.entry_bytes,
        report.quarantined_bytes,
        report.separator_bytes,
        report.pending_bytes,
    )
    assert report.balanced
    assert min(parts) >= 0
    assert sum(parts) == report.bytes_on_disk
