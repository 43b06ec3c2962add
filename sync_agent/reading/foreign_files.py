"""Files of other programs below the transcript folders: kept as bytes, and listed.

The rule (docs/specs/byte-ledger.md, L-10): a record is of a conversation if its ``type`` is one
that Claude Code writes, or if it has any ``type`` and a ``uuid``. A file with entries and without
such a record is foreign.
"""

from __future__ import annotations

import os
import sqlite3

from annals.records.identity import readable
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import reading

MARK = "insert or replace into foreign_files (file_id) values (?)"
UNMARK = "delete from foreign_files where file_id = ?"
_HAS_TABLE = "select 1 from sqlite_master where name = 'foreign_files'"
_SELECT = """
    select path_bytes from foreign_files join files using (file_id)
    join locations using (location_id) where state <> 'vanished' and root = ? order by path_bytes
"""


def foreign_files(settings: Settings) -> tuple[str, ...]:
    """Return the paths of the files of other programs that are below the roots now."""
    with reading(settings.sqlite_path) as connection:
        if connection is None or not connection.execute(_HAS_TABLE).fetchone():
            return ()
        return tuple(
            readable(os.fsdecode(path))
            for root in settings.claude_dirs
            for (path,) in connection.execute(_SELECT, (bytes(root),))
        )


def foreign_ids(connection: sqlite3.Connection) -> set[int]:
    """Return the files that are marked as those of other programs."""
    return {file_id for (file_id,) in connection.execute("select file_id from foreign_files")}
