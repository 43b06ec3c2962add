"""Proof that each entry of bronze is accounted for in silver and gold (docs/specs/completeness.md).

The full form computes every rule over all rows. The cheap form, for each publish, computes them
over the sessions that changed since the last proof, and compares totals of the tables for the rest;
where a total differs, the full form names the place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from analytics.errors import IntegrityError
from loaders import warehouse
from loaders.completeness_rules import BRONZE, RESPONSES, RULES, SEALED, TOTALS, Rule
from loaders.warehouse import REBUILD, Connection

PLACES_NAMED = 20
"""A rule names at most so many places."""

_DDL = """
create table if not exists meta.built_relations (relation varchar not null);
create table if not exists meta.sealed_rows (
    relation varchar not null, place varchar, row_count bigint not null, row_hash ubigint
);
create table if not exists meta.unproven_sessions (session_id varchar);
"""
_NOTES = ("built_relations", "sealed_rows", "unproven_sessions")
_IN_SESSIONS = "session_id in (select session_id from checked_sessions)"
_IN_MESSAGES = "message_id in (select message_id from checked_messages)"
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
        connection.execute("insert into meta.unproven_sessions values (null)")
    else:
        connection.execute(
            "insert into meta.unproven_sessions select session_id from meta.pending_sessions"
            " where session_id is not null"
        )
    connection.executemany(
        "insert into meta.built_relations select r from (select ? as r) anti join"
        " (select relation as r from meta.built_relations) using (r)",
        [[relation] for relation in relations],
    )
    for relation in SEALED:
        connection.execute("delete from meta.sealed_rows where relation = ?", [relation])
        if relation in _relations(connection, only_tables=True):
            connection.execute(f"insert into meta.sealed_rows {_seal(relation)}")


def forget_unproven(connection: Connection) -> None:
    """Note that a proof has covered everything that was built so far."""
    if _has_notes(connection):
        connection.execute("delete from meta.unproven_sessions")


def require_bronze(connection: Connection, *, is_full: bool) -> None:
    """Raise IntegrityError if bronze lacks an entry of the data files that were just built."""
    if BRONZE not in _relations(connection):
        return
    row = connection.execute(
        f"select count(distinct entry_id) from raw.{'records' if is_full else 'new_records'}"  # noqa: S608
        " where record_kind = 'entry'"
        f" and entry_id not in (select entry_id from {BRONZE})"
    ).fetchone()
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
    everything = is_full or _is_all_unproven(connection)
    relations = _relations(connection)
    built = _built(connection) or {BRONZE, *(rule.table for rule in RULES)} & relations
    gaps = [Gap(name, "tables", "", 1, 0) for name in sorted(built - relations)]
    rules = [one for one in RULES if {one.table, *one.needs} <= relations and BRONZE in built]
    rows = 0
    if BRONZE in built & relations:
        rows = _prepare(connection, everything=everything)
        if everything or _totals_differ(connection, relations):
            everything = everything or _prepare(connection, everything=True) >= 0
        else:
            rules = [one for one in rules if one.scope != "history"]
        for rule in rules:
            gaps += _gaps(connection, rule, everything=everything)
        gaps += _broken_seals(connection, relations)
    return Proof(rows, len({rule.table for rule in rules}), everything, tuple(gaps))


def _prepare(connection: Connection, *, everything: bool) -> int:
    """Make the relations that the rules read; return the number of rows of bronze in them."""
    if everything:
        connection.execute(
            f"create or replace temp view checked_entries as select * from {BRONZE}"  # noqa: S608
        )
    else:
        connection.execute(f"""
            create or replace temp table checked_sessions as
            select distinct session_id from meta.unproven_sessions;
            create or replace temp table checked_messages as
            select distinct message_id from {BRONZE}
            where {_IN_SESSIONS} and message_id is not null;
            create or replace temp table checked_batch as
            select * from {BRONZE}
            where rowid in (select rowid from {BRONZE} where {_IN_SESSIONS} or {_IN_MESSAGES});
            create or replace temp view checked_entries as select * from checked_batch
        """)  # noqa: S608 - names are constants
    connection.execute(f"create or replace temp view checked_responses as {RESPONSES}")
    row = connection.execute("select count(*) from checked_entries").fetchone()
    return int(row[0]) if row else 0


def _gaps(connection: Connection, rule: Rule, *, everything: bool) -> Iterator[Gap]:
    scope = {
        "{sessions}": "true" if everything else _IN_SESSIONS,
        "{messages}": "true" if everything else _IN_MESSAGES,
        "{fct_messages}": "true" if everything else f"fct.{_IN_MESSAGES}",
    }
    expected, found = rule.expected, rule.found
    for name, condition in scope.items():
        expected, found = expected.replace(name, condition), found.replace(name, condition)
    rows = connection.execute(
        f"select place, coalesce(expected.n, 0), coalesce(found.n, 0)"  # noqa: S608
        f" from ({expected}) as expected full join ({found}) as found using (place)"
        " where expected.n is distinct from found.n or expected.h is distinct from found.h"
        f" order by place limit {PLACES_NAMED}"
    ).fetchall()
    for place, wanted, present in rows:
        yield Gap(rule.table, rule.unit, f"{rule.place} {place}", int(wanted), int(present))


def _totals_differ(connection: Connection, relations: Collection[str]) -> bool:
    """Return whether a table as a whole holds more or less than the layer before it."""
    compared = [
        f"(select coalesce({left}, 0) from {source})"  # noqa: S608 - names are constants
        f" is distinct from (select coalesce({right}, 0) from {table})"
        for table, source, left, right in TOTALS
        if {table, source} <= set(relations)
    ]
    if not compared:
        return False
    row = connection.execute(f"select {' or '.join(compared)}").fetchone()
    return bool(row and row[0])


def _seal(relation: str) -> str:
    """Return the SQL of the rows that note a table: a count and an order-free hash per place."""
    place, key = SEALED[relation]
    return (
        f"select '{relation}', {place}, count(*), bit_xor(hash({key})) from {relation}"  # noqa: S608
        f" group by {place}"
    )


def _broken_seals(connection: Connection, relations: Collection[str]) -> Iterator[Gap]:
    if not _has_notes(connection):
        return
    sealed = connection.execute("select distinct relation from meta.sealed_rows").fetchall()
    for (relation,) in sealed:
        if relation not in relations:
            continue
        rows = connection.execute(
            "select place, coalesce(noted.row_count, 0), coalesce(now.row_count, 0) from"  # noqa: S608
            f" (select place, row_count, row_hash from meta.sealed_rows where relation = ?) noted"
            f" full join (from ({_seal(relation)}) t(relation, place, row_count, row_hash)) now"
            " using (place) where noted.row_count is distinct from now.row_count"
            f" or noted.row_hash is distinct from now.row_hash order by 1 limit {PLACES_NAMED}",
            [relation],
        ).fetchall()
        kind = SEALED[relation][0].removesuffix("_id")
        for place, wanted, present in rows:
            yield Gap(relation, "rows", f"{kind} {place}", int(wanted), int(present))


def _relations(connection: Connection, *, only_tables: bool = False) -> set[str]:
    rows = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = current_database() and (table_type = 'BASE TABLE' or not ?)",
        [only_tables],
    ).fetchall()
    return {name for (name,) in rows}


def _built(connection: Connection) -> set[str]:
    if not _has_notes(connection):
        return set()
    rows = connection.execute("select relation from meta.built_relations").fetchall()
    return {name for (name,) in rows}


def _is_all_unproven(connection: Connection) -> bool:
    if not _has_notes(connection):
        return True
    row = connection.execute(
        "select exists (from meta.unproven_sessions where session_id is null)"
    ).fetchone()
    return bool(row and row[0])


def _has_notes(connection: Connection) -> bool:
    return {f"meta.{name}" for name in _NOTES} <= _relations(connection)
