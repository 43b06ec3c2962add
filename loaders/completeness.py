"""Proof that each entry of bronze is accounted for in silver and gold (docs/specs/completeness.md).

The full form computes every rule over all rows. The cheap form, for each publish, computes them
over what changed since the last proof, and compares totals of the tables for the rest: first over
the rows that the last batch wrote (:mod:`loaders.batch_proof`); if something differs there, or
there was more than one batch, over all rows of the sessions; if a total differs, over all rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from annals.errors import IntegrityError
from loaders import batch_proof, warehouse
from loaders.completeness_keys import RESPONSES
from loaders.completeness_rules import RULES, SUMMED, Rule
from loaders.completeness_tables import (
    BRONZE,
    FOREIGN_ENTRIES,
    IN_MESSAGES,
    IN_SESSIONS,
    ROWS_OF_RESPONSES,
    SEALED,
    STAGED,
    Condition,
    compared_totals,
    seal,
)
from loaders.warehouse import REBUILD, Connection

PLACES_NAMED = 20
"""A rule names at most so many places."""

_DDL = """
create table if not exists meta.built_relations (relation varchar not null);
create table if not exists meta.sealed_rows (
    relation varchar not null, place varchar, row_count bigint not null, row_hash ubigint
);
create table if not exists meta.unproven_sessions (session_id varchar);
create table if not exists meta.unproven_messages (message_id varchar);
"""
_NOTES = {
    f"meta.{name}"
    for name in ("built_relations", "sealed_rows", "unproven_sessions", "unproven_messages")
}
_INCOMPLETE = "gold is incomplete"


class Gap(NamedTuple):
    """A place where a table holds something else than bronze accounts for."""

    table: str
    unit: str
    place: str
    expected: int
    found: int

    def __str__(self) -> str:
        """Return the gap as one line of a report."""
        where = f" of {self.place}" if self.place else ""
        if self.expected == self.found:
            return f"{self.table} has other {self.unit}{where} than the layer before it"
        return f"{self.table} has {self.found:,} of {self.expected:,} {self.unit}{where}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check compared. ``rows_scanned`` are the rows of bronze that it accounted for."""

    rows_scanned: int
    tables: int
    is_full: bool
    gaps: tuple[Gap, ...] = ()


def note_built(connection: Connection, relations: Collection[str], *, is_full: bool) -> None:
    """Note what a transform built, inside its last transaction and before pending is cleared.

    ``relations`` are all tables and views of the selection; a batch adds the sessions that it
    touched to those that no proof has covered yet.
    """
    connection.execute(_DDL)
    if is_full:
        connection.execute("delete from meta.built_relations")
        connection.execute("delete from meta.unproven_sessions")
        connection.execute("delete from meta.unproven_messages")
        connection.execute("insert into meta.unproven_sessions values (null)")
    elif ROWS_OF_RESPONSES in (present := _relations(connection)) and BRONZE in present:
        connection.execute(
            "insert into meta.unproven_sessions select distinct session_id"
            " from meta.pending_sessions where session_id is not null"
        )
        connection.execute(
            "insert into meta.unproven_messages"  # noqa: S608 - names are constants
            f" select distinct message_id from {ROWS_OF_RESPONSES}"
        )
    connection.executemany(
        "insert into meta.built_relations select r from (select ? as r) anti join"
        " (select relation as r from meta.built_relations) using (r)",
        [[relation] for relation in relations],
    )
    for relation in SEALED:
        connection.execute("delete from meta.sealed_rows where relation = ?", [relation])
        if relation in _relations(connection, only_tables=True):
            connection.execute(f"insert into meta.sealed_rows {seal(relation)}")


def forget_unproven(connection: Connection) -> None:
    """Note that a proof has covered everything that was built so far."""
    if _relations(connection) >= _NOTES:
        connection.execute("delete from meta.unproven_sessions")
        connection.execute("delete from meta.unproven_messages")


def require_bronze(connection: Connection, *, is_full: bool) -> None:
    """Raise IntegrityError if bronze lacks an entry of the data files that were just built."""
    if BRONZE not in _relations(connection):
        return
    rows = SUMMED.format("entry_id")
    is_same = f"""
        select loaded = kept from (
            select {rows} from raw.records where record_kind = 'entry'
        ) as loaded, (select {rows} from {BRONZE}) as kept
    """  # noqa: S608 - names are constants
    if is_full and connection.execute(is_same).fetchone() == (True,):
        return
    row = connection.execute(f"""
        with loaded as (
            select distinct entry_id from raw.{"records" if is_full else "new_records"}
            where record_kind = 'entry'
        )
        select (select count(*) from loaded) - (
            select count(distinct entry_id) from {BRONZE}
            where entry_id in (select entry_id from loaded)
        )
    """).fetchone()  # noqa: S608 - names are constants
    if row and row[0]:
        raise IntegrityError(
            f"{BRONZE} lacks {row[0]:,} entries of the loaded data files",
            hint="Run `annals pipeline`: what is pending is kept, and is built again.",
            missing=row[0],
        )


def require_complete(connection: Connection) -> Proof:
    """Raise IntegrityError naming model and session if gold lacks what bronze has.

    The next transform then builds everything from the lake. The cheap form; it is the full form
    after a full build.
    """
    proof = check(connection)
    if proof.gaps:
        warehouse.set_state(connection, REBUILD, _INCOMPLETE)
        more = f" (and {len(proof.gaps) - 1} more)" if proof.gaps[1:] else ""
        raise IntegrityError(
            f"gold is incomplete and is not published: {proof.gaps[0]}{more}",
            hint="Run `annals pipeline`: it builds every table from the lake again. The published"
            " build stays as it was.",
            model=proof.gaps[0].table,
            place=proof.gaps[0].place,
        )
    return proof


def check(connection: Connection, *, is_full: bool = False) -> Proof:
    """Compare every table with what bronze accounts for, or the unproven sessions alone.

    Reads only; the relations that it makes are temporary.
    """
    relations = _relations(connection)
    everything = is_full or _is_all_unproven(connection, relations)
    built = _built(connection, relations)
    gaps = [Gap(name, "tables", "", 1, 0) for name in sorted(built - relations)]
    if BRONZE not in built & relations:
        return Proof(0, len(built), everything, tuple(gaps))
    if not (everything or gaps):
        rows_proven = batch_proof.rows_proven(connection, relations)
        if rows_proven is not None:
            return Proof(rows_proven, len(built), is_full=False)
    everything = everything or _totals_differ(connection, relations)
    rows = _prepare(connection, relations, everything=everything)
    rules = [
        rule
        for rule in RULES
        if {rule.table, *rule.needs} <= relations and (everything or rule.scope != "history")
    ]
    for rule in rules:
        gaps += _gaps(connection, rule, everything=everything)
    gaps += _broken_seals(connection, relations)
    return Proof(rows, len(built), everything, tuple(gaps))


def _prepare(connection: Connection, relations: Collection[str], *, everything: bool) -> int:
    """Make the relations that the rules read; return the number of rows of bronze in them.

    For a batch the rows of its sessions are copied, so that each table is searched once.
    """
    for table, (name, columns) in STAGED.items():
        if table not in relations:
            continue
        source = table
        if not everything:
            source = f"{name}_of_batch"
            connection.execute(
                f"create or replace temp table {source} as"  # noqa: S608 - names are constants
                f" select {columns} from {table} where {IN_SESSIONS}"
            )
        connection.execute(
            f"create or replace temp view {name} as select {columns} from {source}"  # noqa: S608
        )
    connection.execute(f"create or replace temp table foreign_entries as {FOREIGN_ENTRIES}")
    connection.execute(
        "create or replace temp view checked_entries as"
        " from checked_bronze where session_id not in (select session_id from foreign_entries)"
    )
    connection.execute(f"create or replace temp view checked_responses as {RESPONSES}")
    row = connection.execute("select count(*) from checked_bronze").fetchone()
    return int(row[0]) if row else 0


def _gaps(connection: Connection, rule: Rule, *, everything: bool) -> Iterator[Gap]:
    if rule.quick and connection.execute(rule.quick).fetchone() == (True,):
        return
    query = Condition("true" if everything else IN_MESSAGES).fill(rule.differences())
    rows = connection.execute(f"{query} order by 1 limit {PLACES_NAMED}").fetchall()
    for place, wanted, present in rows:
        yield Gap(rule.table, rule.unit, f"{rule.place} {place}", int(wanted), int(present))


def _totals_differ(connection: Connection, relations: Collection[str]) -> bool:
    """Return whether a table as a whole holds more or less than the layer before it."""
    compared = [
        f"(select coalesce({left}, 0) from {source})"  # noqa: S608 - names are constants
        f" is distinct from (select coalesce({right}, 0) from {table})"
        for source, left, table, right in compared_totals(relations)
    ]
    if not compared:
        return False
    row = connection.execute(f"select {' or '.join(compared)}").fetchone()
    return bool(row and row[0])


def _broken_seals(connection: Connection, relations: Collection[str]) -> Iterator[Gap]:
    if not set(relations) >= _NOTES:
        return
    # After a full build the tables of a batch are views over everything, and are not noted.
    noted = connection.execute("select distinct relation from meta.sealed_rows").fetchall()
    present = [relation for relation in SEALED if relation in relations and (relation,) in noted]
    if not present:
        return
    now = " union all ".join(seal(relation) for relation in present)
    rows = connection.execute(
        "select relation, place, coalesce(noted.n, 0), coalesce(now.n, 0)"  # noqa: S608
        " from meta.sealed_rows as noted(relation, place, n, h)"
        f" full join ({now}) as now(relation, place, n, h) using (relation, place)"
        " where (noted.n is distinct from now.n or noted.h is distinct from now.h)"
        " and relation in (select relation from meta.sealed_rows)"
        f" order by 1, 2 limit {PLACES_NAMED}"
    ).fetchall()
    for relation, place, wanted, found in rows:
        kind = SEALED[relation][0].removesuffix("_id")
        yield Gap(relation, "rows", f"{kind} {place}", int(wanted), int(found))


def _relations(connection: Connection, *, only_tables: bool = False) -> set[str]:
    """Return ``schema.name`` of every table of the warehouse, and of every view."""
    views = (
        ""
        if only_tables
        else (
            " union all select schema_name || '.' || view_name from duckdb_views()"
            " where database_name = current_database() and not internal"
        )
    )
    rows = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables()"  # noqa: S608 - constants
        f" where database_name = current_database(){views}"
    ).fetchall()
    return {name for (name,) in rows}


def _built(connection: Connection, relations: Collection[str]) -> set[str]:
    """Return what has to be there: as noted, or for an older warehouse what has a rule."""
    if not set(relations) >= _NOTES:
        return {BRONZE, *(rule.table for rule in RULES)} & set(relations)
    rows = connection.execute("select relation from meta.built_relations").fetchall()
    return {name for (name,) in rows}


def _is_all_unproven(connection: Connection, relations: Collection[str]) -> bool:
    if not set(relations) >= _NOTES:
        return True
    row = connection.execute(
        "select exists (from meta.unproven_sessions where session_id is null)"
    ).fetchone()
    return bool(row and row[0])
