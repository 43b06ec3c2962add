"""What the pipeline knows about the tables of the gold layer: their order, months and hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loaders.warehouse import Connection

SPLIT_TABLES = ("fct_api_responses", "fct_tool_calls")
"""Facts that are published as one file a month of ``usage_date``; they have a ``session_id``."""

GOLD, READING = "gold", "reading"
"""The schemas that are published, each in a catalog of its own."""

UNDATED = "undated"
"""The month of rows without a day."""

_ORDER: Mapping[str, str] = {
    "fct_api_responses": "occurred_at, response_key",
    "fct_tool_calls": "called_at, tool_call_key",
    "fct_vendor_costs": "session_id, model_id",
    "dim_sessions": "session_id",
    "dim_projects": "project_key",
    "dim_models": "model_id",
    "dim_dates": "date_day",
    "agg_usage_daily": "usage_date, project_key, model_id, is_subagent",
    "sessions": "session_id",
}
_TABLE_HASH = """
with shape as (
    select string_agg(column_name || ' ' || data_type, ',' order by column_name) as columns
    from information_schema.columns
    where table_schema = 'gold' and table_name = ? and table_catalog = current_database()
),

printed as (
    select cast(rows as varchar) as line from gold.{table} as rows
),

summed as (
    select
        count(*) as lines,
        coalesce(sum(md5_number_lower(line)::hugeint), 0) as lower_sum,
        coalesce(sum(md5_number_upper(line)::hugeint), 0) as upper_sum
    from printed
)

select md5(concat_ws('|', columns, lines, lower_sum, upper_sum)) from shape, summed
"""
_MONTH = f"coalesce(strftime(usage_date, '%Y-%m'), '{UNDATED}')"


def gold_tables(connection: Connection) -> list[str]:
    """Return the names of the tables and views in the schema ``gold``, sorted."""
    return _tables_in(connection, GOLD)


def reading_tables(connection: Connection) -> list[str]:
    """Return the names of the tables and views in the schema ``reading``, sorted."""
    return _tables_in(connection, READING)


def _tables_in(connection: Connection, schema: str) -> list[str]:
    rows = connection.execute(
        "select table_name from information_schema.tables"
        " where table_schema = ? and table_catalog = current_database() order by 1",
        [schema],
    ).fetchall()
    return [name for (name,) in rows]


def sort_key(table: str) -> str:
    """Return what the published rows of ``table`` are sorted by; all columns where it is unknown.

    The same rows give the same file.
    """
    return _ORDER.get(table, "all")


def month_counts(connection: Connection, table: str) -> dict[str, int]:
    """Return how many rows of ``table`` each month has, such as ``{"2026-11": 12}``."""
    rows = connection.execute(
        f"select {_MONTH} as month, sum(rows) from ("  # noqa: S608 - the table is one of ours
        f"select usage_date, count(*) as rows from gold.{table} group by usage_date"
        ") group by month order by month"
    ).fetchall()
    return {month: int(count) for month, count in rows}


def month_filter(month: str) -> str:
    """Return the SQL condition that a row belongs to ``month``."""
    if month == UNDATED:
        return "usage_date is null"
    start = f"date '{month}-01'"
    return f"usage_date >= {start} and usage_date < {start} + interval 1 month"


def note_changed_months(connection: Connection, *, everything: bool) -> None:
    """Note which months of the split tables the transform touched; None stands for all of them.

    A touched session's rows may be new, changed or gone. Months that only lost rows show in their
    counts when the next build is published.
    """
    present = set(gold_tables(connection))
    for table in present.intersection(SPLIT_TABLES):
        if everything:
            connection.execute("insert into meta.changed_months values (?, null)", [table])
            continue
        connection.execute(
            f"insert into meta.changed_months select distinct ?, {_MONTH} from ("  # noqa: S608 - as above
            f"select usage_date from gold.{table}"
            " where session_id in (select session_id from meta.pending_sessions)"
            " union select usage_date from meta.pending_days)",
            [table],
        )


def gold_hashes(connection: Connection) -> dict[str, str]:
    """Return a hash of each gold table that does not depend on the order of its rows.

    Equal hashes mean equal column names and types and equal rows, duplicates counted.
    """
    return {table: _table_hash(connection, table) for table in gold_tables(connection)}


def _table_hash(connection: Connection, table: str) -> str:
    row = connection.execute(_TABLE_HASH.format(table=table), [table]).fetchone()
    return str(row[0]) if row else ""
