"""What the lake, the warehouse and the build hold, looked at from outside for a validation.

The lake is read as it is now, whatever of it was loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from annals.errors import WarehouseError
from annals.settings import Settings
from loaders import entries, lake, warehouse
from loaders.gold import gold_tables
from loaders.transform import GOLD_REVISION
from loaders.warehouse import Connection

_ROWS_AT_ONCE = 1_000


class LakeRow(NamedTuple):
    """One row of the lake, as much as its identity is made of; ``raw`` are its exact bytes."""

    entry_id: str
    record_kind: str
    file_path: str
    file_key: str
    byte_offset: int
    raw: bytes


class LakeRange(NamedTuple):
    """One range of a transcript that the lake has: an entry or quarantined bytes."""

    file_key: str
    byte_offset: int
    byte_length: int
    entry_id: str
    record_kind: str
    file_path: str
    file_generation: int
    agent_id: str


class Bronze(NamedTuple):
    """How bronze compares with the rows that are loaded: each figure but the first should be 0."""

    entries: int
    duplicates: int
    missing: int
    unknown: int


@contextlib.contextmanager
def lake_rows(settings: Settings) -> Iterator[Connection]:
    """Open the lake's rows as the view ``raw.records`` of a warehouse in memory.

    The view is empty where no lake exists yet. Raises IntegrityError for a broken lake.
    """
    with warehouse.in_memory(settings) as connection:
        opened = lake.open_lake(settings)
        if opened:
            files = opened.changes(None, {}).new
            entries.add_files(connection, files, is_pending=False)
            entries.point_views(connection, opened.field_ids)
        else:
            entries.point_views(connection, {})
        yield connection


def rows(connection: Connection) -> Iterator[LakeRow]:
    """Yield every row of the lake, in bounded memory."""
    found = connection.execute(
        "select entry_id, record_kind, file_path, file_key, byte_offset, raw, raw_binary"
        " from raw.records"
    )
    while batch := found.fetchmany(_ROWS_AT_ONCE):
        for entry_id, kind, path, key, offset, text, binary in batch:
            raw = binary if text is None else text.encode()
            yield LakeRow(entry_id, kind, path, key, offset, raw)


def ranges_by_key(connection: Connection) -> Iterator[tuple[str, list[LakeRange]]]:
    """Yield (file key, its ranges in order of their offset), each range once per place."""
    query = f"""
        select distinct {", ".join(LakeRange._fields)}
        from raw.records
        where record_kind <> 'file'
        order by file_key, byte_offset
    """  # noqa: S608 (names of our own)
    found = connection.execute(query)
    batches = iter(lambda: found.fetchmany(_ROWS_AT_ONCE), [])
    every = (LakeRange(*row) for batch in batches for row in batch)
    for key, group in groupby(every, key=itemgetter(0)):
        yield key, list(group)


def missing_ids(connection: Connection, batches: Iterable[list[str]]) -> int:
    """Return how many of the ids the lake does not have."""
    connection.execute("create temp table wanted (entry_id varchar)")
    for batch in batches:
        connection.execute("insert into wanted select unnest(?)", [batch])
    row = connection.execute(
        "select count(*) from wanted anti join raw.records using (entry_id)"
    ).fetchone()
    return int(row[0]) if row else 0


def lake_counts(connection: Connection) -> dict[str, int]:
    """Return how many distinct ids the lake has of each kind of record, and how many rows."""
    counted = connection.execute(
        "select record_kind, count(distinct entry_id), count(*) from raw.records group by 1"
    ).fetchall()
    kinds = {str(kind): int(ids) for kind, ids, _ in counted}
    return {**kinds, "rows": sum(int(number) for *_, number in counted)}


def bronze(connection: Connection) -> Bronze:
    """Compare bronze with the loaded rows of the lake that are transformed."""
    row = connection.execute("""
        with kept as (select entry_id from bronze.stg_claude_code__entries),
        loaded as (select distinct entry_id from raw.records where record_kind = 'entry'),
        pending as (select distinct entry_id from raw.new_records)
        select
            (select count(*) from kept),
            (select count(*) - count(distinct entry_id) from kept),
            (select count(*) from loaded anti join kept using (entry_id)
                where entry_id not in (select entry_id from pending)),
            (select count(*) from kept anti join loaded using (entry_id))
    """).fetchone()
    return Bronze(*(int(number) for number in row or (0, 0, 0, 0)))


def revision(connection: Connection) -> str | None:
    """Return the revision of gold in the warehouse, or None where no gold exists yet."""
    return warehouse.state(connection, GOLD_REVISION)


def gold_counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each gold table has."""
    return {table: _count(connection, table) for table in gold_tables(connection)}


def build_revision(build: Connection) -> str | None:
    """Return the revision of gold that a published build shows."""
    row = build.execute("select gold_revision from meta.build").fetchone()
    return str(row[0]) if row else None


def _count(connection: Connection, table: str) -> int:
    row = connection.execute(f"select count(*) from gold.{table}").fetchone()  # noqa: S608 (own)
    if row is None:
        raise WarehouseError(f"gold.{table} cannot be counted", hint="Run `annals pipeline` again.")
    return int(row[0])


def loaded_snapshot(connection: Connection) -> int | None:
    """Return the snapshot up to which the warehouse has loaded the lake."""
    row = connection.execute("select snapshot_id from meta.load_cursor").fetchone()
    return int(row[0]) if row and row[0] is not None else None


def sessions_pending(connection: Connection) -> int:
    """Return how many sessions the next transform rebuilds."""
    return entries.count_pending_sessions(connection)
