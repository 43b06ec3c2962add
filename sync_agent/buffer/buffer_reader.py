"""What the buffer holds, for those who look at it from outside: read-only and in short reads."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from annals.buffer.faults import sqlite_translated
from annals.records import RecordKind
from annals.records.identity import id_with_prefix, owning_session
from annals.settings import Settings
from sync_agent.buffer.rows import FileState

_IDS_AT_ONCE = 50_000
_HAS_DEAD_LETTERS = "select 1 from sqlite_master where name = 'dead_letters'"
_DEAD_LETTERS = """
    select file_path, file_key, file_generation, byte_offset, byte_length, lower(hex(entry_id)),
           record_kind
    from dead_letters join locations using (location_id) where record_kind <> ?
"""


_SESSIONS = """
    select session_id, null from records
    where substr(coalesce(session_id, ''), 1, length(:prefix)) = :prefix
    union select null, file_key from locations
    where substr(file_key, 1, length(:prefix)) = :prefix
"""


@dataclass(frozen=True, slots=True)
class Holdings:
    """The buffer's agent and its records.

    Records up to ``pruned_through`` may be gone, ``last_seq`` is the last number ever given,
    ``records`` counts those that are still here. ``file_bytes`` is the size of the buffer's file.
    """

    agent_id: str
    pruned_through: int
    last_seq: int
    records: int
    file_bytes: int


def session_named(settings: Settings, prefix: str) -> str:
    """Return the session id that begins with ``prefix``; ``prefix`` itself if none is known.

    Known are the sessions of records that are here, and of files. Raises UsageError (exit 2) if
    several begin with it.
    """
    with reading(settings.sqlite_path) as connection:
        rows = connection.execute(_SESSIONS, {"prefix": prefix}).fetchall() if connection else ()
    known = (session_id or owning_session(key) for session_id, key in rows)
    return id_with_prefix(prefix, known) or prefix


def read_holdings(settings: Settings) -> Holdings | None:
    """Return what the buffer holds, or None where no buffer exists yet.

    Raises LocalBufferError where it cannot be read.
    """
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return None
        meta = dict(connection.execute("select key, value from meta"))
        (records,) = connection.execute("select count(*) from records").fetchone()
        last = connection.execute(
            "select seq from sqlite_sequence where name = 'records'"
        ).fetchone()
    return Holdings(
        agent_id=str(meta["agent_id"]),
        pruned_through=int(meta["pruned_through"]),
        last_seq=int(last[0]) if last else 0,
        records=int(records),
        file_bytes=settings.sqlite_path.stat().st_size,
    )


def held_ids(settings: Settings, *, through: int) -> Iterator[list[str]]:
    """Yield the ids (hex) of the records up to seq ``through`` that are still here, in batches."""
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return
        cursor = connection.execute(
            "select lower(hex(entry_id)) from records where seq <= ?", (through,)
        )
        while rows := cursor.fetchmany(_IDS_AT_ONCE):
            yield [entry_id for (entry_id,) in rows]


class DeadLetter(NamedTuple):
    """A range that the server refused, and where it is from; ``entry_id`` is in hex."""

    file_path: str
    file_key: str
    file_generation: int
    byte_offset: int
    byte_length: int
    entry_id: str
    record_kind: str


def dead_letters(settings: Settings) -> list[DeadLetter]:
    """Return the entries and quarantined ranges that a server refused; they are kept here."""
    with reading(settings.sqlite_path) as connection:
        if connection is None or not connection.execute(_HAS_DEAD_LETTERS).fetchone():
            return []
        return list(map(DeadLetter._make, connection.execute(_DEAD_LETTERS, (RecordKind.FILE,))))


class Noted(NamedTuple):
    """What the buffer notes of a file: judged up to ``offset`` when it was so big and so old."""

    offset: int
    size: int | None
    mtime_ns: int | None


def noted_files(settings: Settings) -> dict[bytes, Noted]:
    """Return what is noted of each file below the roots that has not vanished, by its path."""
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return {}
        return {
            path: Noted(*noted)
            for root in settings.claude_dirs
            for path, *noted in connection.execute(
                "select path_bytes, offset, size, mtime_ns from files"
                " join locations using (location_id) where root = ? and state <> ?",
                (bytes(root), FileState.VANISHED),
            )
        }


def where_read(settings: Settings) -> Settings:
    """Return settings whose ``claude_dir`` is where the transcripts in custody were read from.

    Those are others only if nobody named one, and the default one is missing.
    """
    if "claude_dir" in settings.model_fields_set or any(
        root.exists() for root in settings.claude_dirs
    ):
        return settings
    with reading(settings.sqlite_path) as connection:
        roots = (
            connection.execute("select distinct root from locations order by root")
            if connection
            else ()
        )
        places = [os.fsdecode(root) for (root,) in roots]
    places = [place for place in places if not any(_is_below(place, other) for other in places)]
    if not places:
        return settings
    return settings.model_copy(update={"claude_dir": Path(os.pathsep.join(places))})


def forgotten_roots(settings: Settings) -> tuple[Path, ...]:
    """Return default roots that files were read from, and that are neither read now nor there.

    Only if nobody named a CLAUDE_DIR: who does says what is in custody.
    """
    if "claude_dir" in settings.model_fields_set:
        return ()
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return ()
        rows = connection.execute(
            "select distinct root from files join locations using (location_id) where state <> ?",
            (FileState.VANISHED,),
        )
        roots = [Path(os.fsdecode(root)) for (root,) in rows]
    now = settings.claude_dirs
    return tuple(root for root in roots if root not in now and not root.exists())


def _is_below(place: str, other: str) -> bool:
    return place != other and Path(place).is_relative_to(other)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the buffer read-only; give None where there is none, or none of its tables yet."""
    if not path.exists():
        yield None
        return
    with sqlite_translated(path):
        connection = sqlite3.connect(f"file:{quote(bytes(path))}?mode=ro", uri=True, timeout=30)
        with contextlib.closing(connection):
            made = connection.execute("select 1 from sqlite_master where name = 'files'")
            yield connection if made.fetchone() else None
