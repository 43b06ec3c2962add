"""The quick proof for one batch: it reads what the batch wrote, and no history.

A batch has copied its entries to a table of its own and has appended its rows at the end of each
table. So the rules are computed over the copied entries and the last rows of each table; totals of
whole tables show that nothing is missing elsewhere, nor in the copy. Whatever differs, and whatever
is more than one batch, is left to :mod:`loaders.completeness`, which names the place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from loaders.completeness_keys import RESPONSES
from loaders.completeness_rules import RULES
from loaders.completeness_tables import (
    BRONZE,
    ENTRIES_OF_BATCH,
    FOREIGN,
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
from loaders.warehouse import Connection

_BY_MESSAGE = ("silver.int_api_responses", "silver.int_tool_calls")
"""Tables of which a batch builds its messages again; of the others it builds its sessions."""

_SMALL = 100_000
"""Entries of a batch for which one thread is fast enough."""

_COPIED = {"checked_bronze": "batch_entries", "checked_entries": "batch_entries"}
_COPIED |= {"checked_responses": "batch_responses"}


def rows_proven(connection: Connection, relations: Collection[str]) -> int | None:
    """Return how many rows of bronze the last batch has, if all are accounted for.

    None means that this form cannot tell: something differs, or more than one batch is unproven.
    """
    if not {ENTRIES_OF_BATCH, ROWS_OF_RESPONSES, *SEALED} <= set(relations):
        return None
    with _few_threads(connection):
        if (
            _is_more_unproven(connection)
            or _has_other_totals(connection, relations)
            or _has_broken_seals(connection)
        ):
            return None
        rows, most = _copy_entries(connection)
        places = _last_rows(connection, relations, most)
        sides = " union all ".join(_sides(relations, places))
        differing = _one(
            connection,
            f"select count(*) from (select rule from ({sides}) group by rule, place"  # noqa: S608
            " having sum(n) <> 0 or bit_xor(h) <> 0)",
        )
    return None if differing[0] else rows


@contextlib.contextmanager
def _few_threads(connection: Connection) -> Iterator[None]:
    """Run short queries in one thread: handing them to others takes longer than they do."""
    rows, threads = _one(
        connection,
        f"select count(*), current_setting('threads') from {ENTRIES_OF_BATCH}",  # noqa: S608
    )
    if rows > _SMALL:
        yield
        return
    connection.execute("set threads = 1")
    try:
        yield
    finally:
        connection.execute(f"set threads = {threads}")


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    return row or ()


def _is_more_unproven(connection: Connection) -> bool:
    """Return whether a session or message is unproven that the last batch has no copy of."""
    sessions = _one(
        connection,
        "select count(*) from meta.unproven_sessions"  # noqa: S608 - names are constants
        f" where session_id not in (select session_id from {ENTRIES_OF_BATCH})",
    )
    messages = _one(
        connection,
        "select count(*) from meta.unproven_messages"  # noqa: S608 - names are constants
        f" where message_id not in (select message_id from {ROWS_OF_RESPONSES})",
    )
    return (sessions, messages) != ((0,), (0,))


def _has_other_totals(connection: Connection, relations: Collection[str]) -> bool:
    """Return whether a table as a whole holds more or less than the layer before it."""
    totals = list(compared_totals(relations))
    amounts: dict[str, dict[str, Any]] = {}
    for source, left, table, right in totals:
        amounts.setdefault(source, {})[left] = None
        amounts.setdefault(table, {})[right] = None
    for relation, wanted in amounts.items():
        row = _one(connection, f"select {', '.join(wanted)} from {relation}")  # noqa: S608
        wanted.update(zip(wanted, row, strict=True))
    return any(
        (amounts[source][left] or 0) != (amounts[table][right] or 0)
        for source, left, table, right in totals
    )


def _has_broken_seals(connection: Connection) -> bool:
    """Return whether a table of the batch, or the prices, are not as the transform noted them."""
    now: set[tuple[Any, ...]] = set()
    for relation in SEALED:
        now.update(connection.execute(seal(relation)).fetchall())
    return now != set(connection.execute("from meta.sealed_rows").fetchall())


def _copy_entries(connection: Connection) -> tuple[int, int]:
    """Copy the entries that are unproven; return their number, and the most rows made of them."""
    columns = STAGED[BRONZE][1]
    connection.execute(
        f"create or replace temp table batch_entries as select {columns}"  # noqa: S608 - constants
        f" from {ENTRIES_OF_BATCH} where {IN_SESSIONS}"
    )
    connection.execute(
        f"create or replace temp table batch_responses as {_named(RESPONSES, _COPIED)}"
    )
    rows, blocks = _one(
        connection, "select count(*), coalesce(sum(len(content_blocks)), 0) from batch_entries"
    )
    return rows, int(rows + blocks)


def _last_rows(connection: Connection, relations: Collection[str], most: int) -> Mapping[str, str]:
    """Return what the rules read under each name: of a table that grew, its last rows."""
    places = {**_COPIED, "foreign_entries": f"({_named(FOREIGN_ENTRIES, _COPIED)})"}
    for table, (name, columns) in STAGED.items():
        if table not in relations or name in places:
            continue
        condition = IN_MESSAGES if table in _BY_MESSAGE else IN_SESSIONS
        if table != FOREIGN:
            (end,) = _one(connection, f"select max(rowid) from {table}")  # noqa: S608 - constants
            condition += f" and rowid > {(-1 if end is None else end) - most}"
        places[name] = f"(select {columns} from {table} where {condition})"  # noqa: S608
    return places


def _named(query: str, places: Mapping[str, str]) -> str:
    """Return a query with other relations in the place of those that it names."""
    for name in sorted(places, key=len, reverse=True):
        query = query.replace(name, places[name])
    return query


def _sides(relations: Collection[str], places: Mapping[str, str]) -> Iterator[str]:
    """Yield a query for each side of each rule; the sides of a rule that holds cancel out."""
    condition = Condition(messages=IN_MESSAGES, rebuilt=IN_MESSAGES)
    for number, rule in enumerate(RULES):
        if rule.scope == "history" or rule.is_total:
            continue
        if not {rule.table, *rule.needs} <= set(relations):
            continue
        for sign, side in zip("+-", rule.sides(), strict=True):
            query = _named(condition.fill(side), places)
            yield (
                f"select {number} as rule, place::varchar as place,"  # noqa: S608 - constants
                f" ({sign}n)::hugeint as n, hash(h) as h from ({query}) as side"
            )
