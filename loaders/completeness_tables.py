"""The tables that a proof of completeness reads: which columns, and what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from annals.records.conversations import KNOWN_TYPES

FIRST_DAY, LAST_DAY = "2023-01-01", "2035-12-31"
BRONZE = "bronze.stg_claude_code__entries"
FOREIGN = "silver.int_foreign_sessions"
ENTRIES_OF_BATCH = "silver.int_touched_entries"
ROWS_OF_RESPONSES = "silver.int_response_rows"
IN_SESSIONS = "session_id in (select session_id from meta.unproven_sessions)"
IN_MESSAGES = "message_id in (select message_id from meta.unproven_messages)"

STAGED: Mapping[str, tuple[str, str]] = {
    BRONZE: (
        "checked_bronze",
        (
            "entry_id, session_id, file_key, file_generation, byte_offset, is_subagent_file,"
            " entry_type, uuid, is_human_turn, model_id, message_id, request_id, is_nested,"
            " message_at, has_usage, is_api_error, input_tokens, output_tokens, cache_read_tokens,"
            " cache_creation_tokens, cache_5m_tokens, cache_1h_tokens, iterations, steps,"
            " nested_uuid, fork_of_uuid, content_blocks"
        ),
    ),
    FOREIGN: ("checked_foreign", "session_id, entries"),
    "silver.int_sessions": ("checked_sessions", "session_id, entries"),
    "silver.int_messages": (
        "checked_messages",
        "session_id, message_key, entries, is_human_turn",
    ),
    "silver.int_api_responses": (
        "checked_api_responses",
        "session_id, message_id, response_key, parent_response_key, row_count, total_tokens",
    ),
    "silver.int_tool_calls": (
        "checked_tool_calls",
        "session_id, message_id, response_key, tool_use_id, tool_call_key",
    ),
    "gold.fct_api_responses": (
        "checked_usage",
        (
            "session_id, message_id, response_key, entry_id, total_tokens, input_tokens,"
            " output_tokens, cache_read_tokens, step_place, quality"
        ),
    ),
    "gold.fct_tool_calls": ("checked_calls", "session_id, tool_call_key"),
    "gold.dim_sessions": (
        "checked_dim_sessions",
        "session_id, entries, messages, human_turns, api_responses, total_tokens, tool_calls",
    ),
}
"""The name and columns by which rules read a table: rows of a batch's sessions, or all rows."""

_TYPES = ", ".join(f"'{name}'" for name in sorted(KNOWN_TYPES))
FOREIGN_ENTRIES = f"""
    select session_id, count(*) as entries from checked_bronze group by session_id
    having not bool_or(
        coalesce(entry_type in ({_TYPES}) or (entry_type is not null and uuid is not null), false)
    )
"""  # noqa: S608 - names are constants
"""Sessions without any entry of a conversation: files of other programs."""

SEALED: Mapping[str, tuple[str, str]] = {
    ENTRIES_OF_BATCH: ("session_id", "entry_id"),
    ROWS_OF_RESPONSES: ("session_id", "entry_id"),
    "silver.int_model_prices": ("model_id", "price_key"),
}
"""Tables of a batch, and what bronze says nothing of: place and key by which they are noted."""

TOTALS: tuple[tuple[str, str, str, str], ...] = (
    (
        "silver.int_sessions",
        BRONZE,
        "count(*)",
        f"coalesce(sum(entries), 0) + coalesce((select sum(entries) from {FOREIGN}), 0)",  # noqa: S608
    ),
    ("gold.dim_sessions", "silver.int_sessions", "sum(entries)", "sum(entries)"),
    ("gold.dim_sessions", "silver.int_messages", "count(*)", "sum(messages)"),
    ("gold.fct_api_responses", "silver.int_api_responses", "count(*)", "count(*)"),
    (
        "gold.dim_sessions",
        "gold.fct_api_responses",
        "count(*) filter (where quality <> 'declined')",
        "sum(api_responses)",
    ),
    (
        "gold.agg_usage_daily",
        "gold.fct_api_responses",
        "count(*)",
        "sum(api_responses + declined_attempts)",
    ),
    ("gold.fct_tool_calls", "silver.int_tool_calls", "count(*)", "count(*)"),
    ("gold.dim_models", "silver.int_model_prices", "count(distinct model_id)", "count(*)"),
    ("gold.dim_sessions", "gold.fct_tool_calls", "count(*)", "sum(tool_calls)"),
    ("gold.dim_projects", "silver.int_sessions", "count(*)", "sum(sessions)"),
    (
        "gold.dim_dates",
        "gold.dim_dates",
        f"count(*) * 0 + (date '{LAST_DAY}' - date '{FIRST_DAY}' + 1)",
        "count(*)",
    ),
)
"""Totals that agree if no row of the history is missing: table, source, and both amounts."""


class Condition(NamedTuple):
    """What the rules are limited to, as SQL; ``true`` is not a limit."""

    messages: str = "true"
    rebuilt: str = "true"

    def fill(self, query: str) -> str:
        """Return the query of a rule with its conditions."""
        return query.replace("{messages}", self.messages).replace("{rebuilt}", self.rebuilt)


def compared_totals(relations: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield both sides of each total whose tables are there: a table and an amount, twice."""
    for table, source, left, right in TOTALS:
        if {table, source} <= set(relations) and (FOREIGN in relations or FOREIGN not in right):
            yield source, left, table, right


def seal(relation: str) -> str:
    """Return the SQL of the rows that note a table: a count and an order-free hash per place."""
    place, key = SEALED[relation]
    return (
        f"select '{relation}', {place}, count(*), bit_xor(hash({key})) from {relation}"  # noqa: S608
        f" group by {place}"
    )
