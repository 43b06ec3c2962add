"""Files that vanished before this buffer was made, as the lake knows them (L-11).

After the loss of a buffer its successor knows only the files that are still on disk. What the lake
has of the others is noted in a table of its own, so that the ledger counts them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from annals.buffer.faults import translated
from annals.records.identity import readable
from annals.records.kept_files import KeptFile
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.store import connect, transaction

_SIGNATURE = "kept_files"
_TABLE = """
create table if not exists kept_files (
    file_path text primary key, entries integer not null, quarantined integer not null,
    entry_bytes integer not null, quarantined_bytes integer not null,
    separator_bytes integer not null, lost_bytes integer not null
) without rowid
"""
_HAS_TABLE = "select 1 from sqlite_master where name = 'kept_files'"
_INSERT = "insert into kept_files values (?, ?, ?, ?, ?, ?, ?)"
_SELECT = """
select * from kept_files
where file_path not in (select file_path from files join locations using (location_id))
order by file_path
"""


class Knowledge(NamedTuple):
    """The buffer's agent, the paths of all files that it ever read, and what was noted last.

    ``signature`` is the one of the last :func:`note_kept_files`.
    """

    agent_id: str
    paths: tuple[str, ...]
    signature: str | None


def known_to_buffer(settings: Settings) -> Knowledge | None:
    """Return what the buffer knows; None if no buffer exists."""
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return None
        meta = dict(
            connection.execute(
                "select key, value from meta where key in ('agent_id', ?)", (_SIGNATURE,)
            )
        )
        paths = connection.execute(
            "select distinct file_path from files join locations using (location_id)"
        )
        signature = meta.get(_SIGNATURE)
        return Knowledge(str(meta["agent_id"]), tuple(path for (path,) in paths), signature)


def note_kept_files(settings: Settings, files: Iterable[KeptFile], *, signature: str) -> None:
    """Replace the noted files by these, in one transaction; no other table is changed.

    ``signature`` says what they were found with. Raises LocalBufferError if it cannot be written.
    """
    path = settings.sqlite_path
    with (
        translated(path),
        contextlib.closing(connect(path)) as connection,
        transaction(connection),
    ):
        connection.execute(_TABLE)
        connection.execute("delete from kept_files")
        connection.executemany(_INSERT, files)
        connection.execute("insert or replace into meta values (?, ?)", (_SIGNATURE, signature))


def kept_files(settings: Settings) -> list[KeptFile]:
    """Return the noted files below the present roots that this buffer never read itself."""
    with reading(settings.sqlite_path) as connection:
        if connection is None or not _has_table(connection):
            return []
        starts = tuple(f"{_name(root)}/" for root in settings.claude_dirs)
        rows = map(KeptFile._make, connection.execute(_SELECT))
        return [file for file in rows if file.file_path.startswith(starts)]


def existing_roots(settings: Settings) -> list[str]:
    """Return the roots that are there, as the paths of records begin."""
    return [_name(root) for root in settings.claude_dirs if root.is_dir()]


def _name(root: Path) -> str:
    return readable(str(root)).rstrip("/")


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute(_HAS_TABLE).fetchone() is not None
