"""What is kept of the transcripts of a session: ranges of bytes in the buffer and in the lake."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from annals.errors import UsageError
from annals.records.identity import id_with_prefix, owning_session
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading

if TYPE_CHECKING:
    from loaders.warehouse import Connection

_COLUMNS = "file_key, file_path, project_id, file_generation, byte_offset, byte_length, record_kind"
_OF_SESSION = """
    (file_key = :session || '.jsonl' or substr(file_key, 1, length(:session) + 1) = :session || '/'
     or (session_id = :session and substr(file_key, 1, 6) = 'agent-'))
"""
_BUFFERED = f"""
    select {_COLUMNS}, lower(hex(entry_id)), seq, ingested_at from records
    join locations using (location_id) where {_OF_SESSION}
"""  # noqa: S608 (constants)
_IN_LAKE = f"""
    select distinct {_COLUMNS}, entry_id, null, epoch_us(ingested_at) from raw.records
    where {_OF_SESSION.replace(":session", "$session")}
"""  # noqa: S608 (constants)
_LEDGER = """
    select l.file_path, f.generation, coalesce(f.size, f.offset), f.offset, f.entry_bytes,
           f.quarantined_bytes, f.separator_bytes, f.head_length, f.head_hash, f.tail_hash,
           case when v.generation = f.generation and v.offset > 0 then v.offset end, v.prefix_hash,
           f.state
    from files f join locations l using (location_id) left join verified v using (file_id)
    where l.file_key = ?
"""


class KeptRange(NamedTuple):
    """One range of a transcript; ``seq`` is its number if the buffer has it, else None."""

    file_key: str
    file_path: str
    project_id: str
    generation: int
    byte_offset: int
    byte_length: int
    record_kind: str
    entry_id: str
    seq: int | None
    ingested_at: int

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.byte_offset + self.byte_length


class Facts(NamedTuple):
    """What was noted of a file when it was read, in bytes; hashes where the buffer has them."""

    file_path: str
    generation: int
    size: int
    offset: int
    entry_bytes: int
    quarantined_bytes: int
    separator_bytes: int
    head_length: int
    head_hash: bytes
    tail_hash: bytes
    proved: int
    prefix_hash: bytes


class Custody:
    """The buffer and the lake, opened to read transcripts from them."""

    def __init__(self, buffer: sqlite3.Connection | None, lake: Connection) -> None:
        self._buffer, self._lake = buffer, lake

    def session_named(self, prefix: str) -> str:
        """Return the session with that id, or whose id begins so.

        Raises UsageError (exit 2) if there is none or several.
        """
        known = id_with_prefix(prefix, self._sessions(prefix)) if prefix else None
        if known is None:
            raise UsageError(
                f"no session is called {prefix!r}",
                hint="Give an id, or its beginning, as `annals sessions list` shows it.",
            )
        return known

    def _sessions(self, prefix: str) -> set[str]:
        values = {"prefix": prefix}
        query = (
            "select distinct file_key, session_id from raw.records"
            " where starts_with(file_key, $prefix) or starts_with(session_id, $prefix)"
        )
        rows = self._lake.execute(query, values).fetchall()
        if self._buffer:
            rows += self._buffer.execute(
                "select distinct file_key, session_id from records join locations"
                " using (location_id) where substr(file_key, 1, length(:prefix)) = :prefix"
                " or substr(session_id, 1, length(:prefix)) = :prefix",
                values,
            ).fetchall()
        ids = {owning_session(key) for key, _ in rows if not key.startswith("agent-")}
        return ids | {session for _, session in rows if session}

    def files_with(self, session: str) -> list[str]:
        """Return some keys of files that hold records of a session, whatever they are named."""
        query = "select distinct file_key from {} where session_id = {}session order by 1 limit 5"
        values = {"session": session}
        rows = self._lake.execute(query.format("raw.records", "$"), values).fetchall()
        if self._buffer:
            tables = "records join locations using (location_id)"
            rows += self._buffer.execute(query.format(tables, ":"), values).fetchall()
        return sorted({key for (key,) in rows})

    def ranges(self, session: str) -> dict[str, list[KeptRange]]:
        """Return what is kept of the files of a session, by file key, ``file`` records included."""
        values = {"session": session}
        rows = self._lake.execute(_IN_LAKE, values).fetchall()
        if self._buffer:
            rows += self._buffer.execute(_BUFFERED, values).fetchall()
        kept: dict[str, list[KeptRange]] = {}
        for row in rows:
            one = KeptRange._make(row)
            kept.setdefault(one.file_key, []).append(one)
        return kept

    def facts(self, key: str, path: str, generation: int) -> Facts | None:
        """Return what was noted of a file: by the buffer, else by its newest ``file`` record."""
        if self._buffer:
            for row in self._buffer.execute(_LEDGER, (key,)).fetchall():
                if row[0] == path and row[1] >= generation:
                    return Facts._make((*row[:10], row[10] or 0, row[11] or b""))
        note = self._lake.execute(
            "select raw from raw.records where record_kind = 'file' and file_key = $key"
            " and file_path = $path order by ingested_at desc, seq desc limit 1",
            {"key": key, "path": path},
        ).fetchone()
        return _noted(path, note[0]) if note else None

    def contents(self, ranges: Iterable[KeptRange]) -> Iterator[bytes]:
        """Yield the bytes of ranges of one file, in their order."""
        wanted = list(ranges)
        in_lake = self._from_lake([one.entry_id for one in wanted if one.seq is None])
        for one in wanted:
            yield next(in_lake) if one.seq is None else self._from_buffer(one.seq)

    def _from_lake(self, ids: list[str]) -> Iterator[bytes]:
        if not ids:
            return
        found = self._lake.cursor().execute(
            "select raw, raw_binary from raw.records where entry_id in (select unnest($ids))"
            " qualify row_number() over (partition by entry_id order by seq) = 1"
            " order by byte_offset",
            {"ids": ids},
        )
        while batch := found.fetchmany(1000):
            for text, binary in batch:
                yield binary if text is None else text.encode()

    def _from_buffer(self, seq: int) -> bytes:
        query = "select raw from records where seq = ?"
        row = self._buffer.execute(query, (seq,)).fetchone() if self._buffer else None
        return bytes(row[0]) if row else b""


def _noted(path: str, raw: str | None) -> Facts | None:
    try:
        noted: Mapping[str, Any] = json.loads(raw or "{}")
        names = ("generation", "size", "offset", "entry_bytes", "quarantined_bytes")
        figures = [int(noted[name]) for name in (*names, "separator_bytes")]
    except (ValueError, KeyError, TypeError):
        return None
    return Facts._make((path, *figures, 0, b"", b"", 0, b""))


@contextlib.contextmanager
def open_custody(settings: Settings) -> Iterator[Custody]:
    """Open buffer and lake to read; either may not be there.

    Raises LocalBufferError and IntegrityError where they cannot be read.
    """
    from loaders import audit

    with reading(settings.sqlite_path) as buffer, audit.lake_rows(settings) as lake:
        yield Custody(buffer, lake)
