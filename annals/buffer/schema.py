"""The tables of the buffer, and the statements that write them (docs/specs/buffer.md)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator

from annals.records.columns import ADDED, COLUMNS, ENTRY_ID, FLAG, Column

_NAMES = re.compile(r"create table (?:if not exists )?(\w+)")

SCHEMA_VERSION = 1

PAGE_BYTES = 8192

_LOCATION_ID = ("location_id", "integer not null references locations")


def _declaration(column: Column) -> str:
    # A column with a default is null where it has that: a value behind ``raw``, where a column
    # that was added is, would make SQLite hold a large record in memory twice while it is written.
    return column.type.sqlite if column.default is None else column.type.sqlite.split()[0]


def _columns() -> Iterator[tuple[str, str]]:
    """Yield name and declaration of what a record has in the buffer, without its ``seq``.

    One id stands for all columns that are in the table of locations.
    """
    is_placed = False
    for column in COLUMNS:
        if column.in_location:
            if not is_placed:
                yield _LOCATION_ID
            is_placed = True
        elif column.name != "seq":
            yield column.name, _declaration(column)


_DECLARED = dict(_columns())
_RECORD = ", ".join(f"{name} {declaration}" for name, declaration in _DECLARED.items())
_DEAD_LETTER = _RECORD.replace("entry_id blob not null", "entry_id blob primary key", 1)
RECORD_COLUMNS = ", ".join(_DECLARED)
"""The columns of a record in the buffer, in the order of its rows; ``raw`` is the last one."""

TABLES = f"""
create table meta (key text primary key, value) without rowid;
create table locations (
    location_id integer primary key, host text not null, root blob not null,
    project_id text not null, file_path text not null, file_key text not null,
    key_bytes blob not null, path_bytes blob not null, unique (host, root, path_bytes)
);
create table files (
    file_id integer primary key, location_id integer not null references locations,
    device integer, inode integer, generation integer not null, size integer, mtime_ns integer,
    offset integer not null, head_hash blob, head_length integer not null, tail_hash blob,
    state text not null, entries integer not null, quarantined integer not null,
    entry_bytes integer not null, quarantined_bytes integer not null,
    separator_bytes integer not null, content_sum blob not null
);
create table records (
    seq integer primary key autoincrement, {_RECORD}
);
create table consumers (
    name text primary key, acknowledged integer not null, updated_at integer not null
) without rowid;
create table tokens (token text primary key, noted_at integer not null) without rowid;
"""

ADDITIONS = f"""
create table if not exists incarnations (
    number integer primary key autoincrement, incarnation text not null
);
create table if not exists dead_letters (
    {_DEAD_LETTER}, seq integer not null, server_reason text not null,
    refused_at integer not null
);
create table if not exists journal (
    journal_id integer primary key, at integer not null, until integer not null,
    event text not null, path text, location_id integer, count integer not null, detail text
);
create table if not exists requests (
    request_id integer primary key autoincrement, kind text not null, arguments text not null,
    requested_at integer not null, taken_at integer, done_at integer, answer text
);
create table if not exists retried (
    entry_id blob primary key, retried_at integer not null, entries integer not null
) without rowid;
create table if not exists verified (
    file_id integer primary key, generation integer not null, offset integer not null,
    content_sum blob not null, prefix_hash blob not null, verified_at integer not null,
    is_due integer not null
);
create index if not exists verification_due on verified (verified_at) where is_due;
create table if not exists rereads (
    path_bytes blob primary key, asked_at integer not null, reason text not null
) without rowid;
create table if not exists foreign_files (file_id integer primary key);
insert or ignore into verified
    select file_id, generation, 0, zeroblob(16), zeroblob(16), 0, 1 from files
    where offset > 0 and not exists (select 1 from meta where key = 'verifies');
insert or ignore into meta values ('verifies', 1);
create index if not exists quarantined on records (seq) where record_kind = 'quarantine';
create view if not exists pending_entries as
    select r.seq as id, l.project_id, r.session_id,
           strftime('%Y-%m-%dT%H:%M:%fZ', r.ingested_at / 1e6, 'unixepoch') as created_at,
           r.seq <= coalesce((select acknowledged from consumers where name = 'mongodb'),
                             (select min(acknowledged) from consumers), 0) as synced,
           r.record_kind, r.type, r.uuid, r.timestamp, l.file_path, l.file_key, r.byte_offset,
           r.byte_length, lower(hex(r.entry_id)) as entry_id, r.raw as entry
    from records r join locations l using (location_id);
create view if not exists file_positions as
    select l.file_path, f.offset as position, f.offset as last_position, l.project_id, f.size,
           f.mtime_ns, f.inode, f.generation, f.state, f.entries, f.quarantined
    from files f join locations l using (location_id);
"""  # noqa: S608 -- constants
"""Tables and views that came later: a buffer of an older program gets them when opened.

Columns that came later are added by :func:`additions`.

What such a buffer has read may have grown unverified, so all of it is due for verification once.
"""

LOCATION_COLUMNS = "location_id, host, root, project_id, file_path, file_key, key_bytes, path_bytes"
FILE_COLUMNS = (
    "file_id, location_id, device, inode, generation, size, mtime_ns, offset, head_hash,"
    " head_length, tail_hash, state, entries, quarantined, entry_bytes, quarantined_bytes,"
    " separator_bytes, content_sum"
)

SELECT_FILE = "select " + FILE_COLUMNS + " from files where file_id = ?"  # noqa: S608 -- constants
SELECT_LOCATION = "select " + LOCATION_COLUMNS + " from locations where location_id = ?"  # noqa: S608 -- constants


def insert_statement(table: str, columns: str, *, replace: bool = False, rows: int = 1) -> str:
    """Return the statement that inserts (or replaces) so many rows of ``table``."""
    places = f"({', '.join('?' * (columns.count(',') + 1))})"
    verb = "replace" if replace else "insert"
    return f"{verb} into {table} ({columns}) values {', '.join([places] * rows)}"


def lacks_tables(connection: sqlite3.Connection) -> bool:
    """Return whether a buffer that no newer agent has opened yet lacks one of its tables."""
    made = {name for (name,) in connection.execute("select name from sqlite_master")}
    return not set(_NAMES.findall(TABLES + ADDITIONS)) <= made


def table_columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of the columns that a table of this buffer has."""
    rows = connection.execute("select name from pragma_table_info(?)", (table,))
    return frozenset(name for (name,) in rows)


def additions(table: str, present: Collection[str]) -> list[str]:
    """Return the statements that add what a table of records of an older program lacks."""
    return [
        f"alter table {table} add column {column.name} {_declaration(column)}"
        for column in ADDED
        if column.name not in present
    ]


def record_columns(present: Collection[str]) -> str:
    """Return RECORD_COLUMNS for a table with the columns ``present``; the others are null."""
    added = {column.name for column in ADDED}.difference(present)
    return ", ".join("null" if name in added else name for name in _DECLARED)


def select_records(present: Collection[str], *, bounds: str, flag: str = "") -> str:
    """Return the query for records as they are in a :class:`annals.records.Record`, by seq.

    ``present`` are the columns of the table, ``bounds`` says which records, and ``flag`` is what
    the driver reads columns as that are true or false.
    """
    columns = ", ".join(_selected(column, present, flag) for column in COLUMNS)
    return (
        f"select {columns} from records r"  # noqa: S608 -- names of our own
        f" cross join locations l on l.location_id = r.location_id where {bounds}"
        " order by r.seq limit ?"
    )


def _selected(column: Column, present: Collection[str], flag: str) -> str:
    if column.in_location:
        return f"l.{column.name}"
    value = f"r.{column.name}"
    if column in ADDED and column.name not in present:
        value = "null"
    if column.default is not None:
        value = f"coalesce({value}, '{column.default}')"
    if column.type is ENTRY_ID:
        return f"lower(hex({value}))"
    return f'{value} as "{column.name} [{flag}]"' if column.type is FLAG and flag else value
