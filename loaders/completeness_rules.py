"""How each entry of bronze is accounted for in silver and gold: one rule for each table.

A rule computes from the layers before what a table has to hold, without the models' own tables of
work, and returns each place (a session, a day, a project) where the table holds something else
(docs/specs/completeness.md). The SQL reads two relations that :mod:`loaders.completeness` makes:
``checked_entries``, rows of bronze, and ``checked_responses``, those that are of a response, with
the key of that response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BRONZE = "bronze.stg_claude_code__entries"
FIRST_DAY, LAST_DAY = "2023-01-01", "2035-12-31"

_BILLABLE = "has_usage and not is_api_error and coalesce(model_id, '') <> '<synthetic>'"
_IS_MESSAGE = "(entry_type in ('user', 'assistant') or is_human_turn)"


def hash_key(*columns: str) -> str:
    """Return the SQL of the project's key over columns: the macro ``hash_key`` for DuckDB."""
    parts = (
        f"coalesce(strlen({column}::varchar) || ':' || {column}::varchar, '-')"
        for column in columns
    )
    return f"md5(concat_ws('|', {', '.join(parts)}))"


RESPONSES = f"""
    with lent as (
        select
            message_id,
            case when min(request_id) = max(request_id) then min(request_id) end as request_id
        from checked_entries
        where message_id is not null
        group by message_id
        having bool_or(request_id is null and is_nested)
    ),
    first_seen as (
        select message_id, file_key, min(message_at) as first_seen_at
        from checked_entries
        where message_id is not null and request_id is null
        group by message_id, file_key
    ),
    identified as (
        select
            entries.*, {_BILLABLE} as is_billable, first_seen.first_seen_at,
            coalesce(entries.request_id, case when is_nested then lent.request_id end) as key_id
        from checked_entries as entries
        left join lent using (message_id)
        left join first_seen using (message_id, file_key)
        where message_id is not null
    )
    select
        * exclude (key_id, first_seen_at),
        {
    hash_key(
        "message_id",
        "key_id",
        "case when key_id is null then coalesce(model_id, 'unknown') end",
        "case when key_id is null then epoch_us(first_seen_at) end",
    )
} as response_key
    from identified
"""  # noqa: S608 - names are constants
"""Rows of responses with the key of their response (docs/specs/accounting.md)."""

_MESSAGES = f"""
    select *, {
    hash_key(
        "session_id",
        "case when entry_type = 'assistant' then 'assistant' else 'user' end",
        "message_id",
        "request_id",
        "case when message_id is null then coalesce(uuid, entry_id) end",
    )
} as message_key
    from checked_entries
    where {_IS_MESSAGE} and {{sessions}}
    qualify uuid is null or row_number() over (
        partition by session_id, uuid
        order by is_subagent_file, file_key, file_generation, byte_offset, entry_id
    ) = 1
"""  # noqa: S608 - names are constants


@dataclass(frozen=True, slots=True)
class Rule:
    """What a table has to hold.

    ``expected`` and ``found`` return ``place``, ``n`` and ``h``: how many of ``unit`` there are at
    a place, and an order-free hash over them. ``scope`` says what bounds the rule in a check of a
    batch: the batch's sessions, or nothing, because the table is small. ``needs`` are the relations
    that are read besides the table itself.
    """

    table: str
    unit: str
    expected: str
    found: str
    scope: Literal["batch", "small", "history"] = "batch"
    place: str = "session"
    needs: tuple[str, ...] = (BRONZE,)


def _grouped(table: str, n: str, h: str = "0", *, place: str = "session_id") -> str:
    return (
        f"select {place} as place, {n} as n, {h} as h from {table}"  # noqa: S608 - as above
        f" where {{sessions}} group by 1"
    )


_ENTRIES = _grouped("checked_entries", "count(*)")
_RESPONSE_KEYS = """
    select session_id as place, count(*) as n, bit_xor(hash(key, amount)) as h
    from ({rows}) group by 1
"""
_EXPECTED_RESPONSES = f"""
    select response_key as key, count(*) as amount,
        arg_min(session_id, coalesce(epoch_us(message_at), 9223372036854775807)) as session_id
    from checked_responses where {_BILLABLE} group by 1
"""  # noqa: S608 - as above
_EXPECTED_CALLS = """
    select key, max(calls) as amount, min(session_id) as session_id from (
        select response_key || ' ' || coalesce(item.tool_use_id,
                'block ' || item.block_index || ' of ' || entry_id) as key,
            count(distinct (item.block_index, coalesce(uuid, entry_id))) as calls,
            min(session_id) as session_id
        from (
            select response_key, entry_id, uuid, session_id, file_key, file_generation,
                unnest(content_blocks) as item
            from checked_responses where not is_nested
        )
        where item.block_type = 'tool_use'
        group by key, file_key, file_generation
    ) group by key
"""


def _by_key(expected: str, found: str) -> tuple[str, str]:
    """Return both sides of a rule on keys: under the session in which the table has a key."""

    def side(name: str) -> str:
        return (
            "select coalesce(found.session_id, expected.session_id) as place,"  # noqa: S608
            f" coalesce(sum({name}.amount), 0) as n, bit_xor(hash(key, {name}.amount)) as h"
            f" from ({expected}) as expected full join ({found}) as found using (key)"
            " where expected.amount is distinct from found.amount group by 1"
        )

    return side("expected"), side("found")


_RESPONSE_SIDES = _by_key(
    _EXPECTED_RESPONSES,
    "select response_key as key, sum(row_count) as amount, min(session_id) as session_id"
    " from silver.int_api_responses where {messages} group by 1",
)
_CALL_SIDES = _by_key(
    _EXPECTED_CALLS,
    "select response_key || ' ' || tool_use_id as key, count(*) as amount,"
    " min(session_id) as session_id from silver.int_tool_calls where {messages} group by 1",
)
_AMOUNTS = "sum(input_tokens + output_tokens + cache_read_tokens)"
_DAY_KEY = "coalesce(usage_date::varchar, 'no day')"
_SESSION_ROW = "bit_xor(hash(entries, messages, human_turns, responses, tokens, calls))"

RULES: tuple[Rule, ...] = (
    Rule(
        BRONZE,
        "entries",
        """
        select session_id as place, count(*) as n, bit_xor(hash(entry_id)) as h from (
            select entry_id, min(session_id) as session_id
            from raw.records
            where record_kind = 'entry' and entry_id not in (select entry_id from raw.new_records)
            group by entry_id
        ) group by 1
        """,
        f"""
        select session_id as place, count(*) as n, bit_xor(hash(entry_id)) as h from {BRONZE}
        where entry_id not in (select entry_id from raw.new_records) group by 1
        """,  # noqa: S608 - as above
        scope="history",
        needs=("raw.records", "raw.new_records"),
    ),
    Rule(
        "silver.int_sessions",
        "entries",
        _ENTRIES,
        _grouped("silver.int_sessions", "sum(entries)"),
    ),
    Rule(
        "silver.int_session_projects",
        "entries",
        _ENTRIES,
        _grouped("silver.int_session_projects", "sum(entries)"),
    ),
    Rule(
        "silver.int_messages",
        "entries",
        f"""
        select session_id as place, sum(n) as n, bit_xor(hash(message_key, n)) as h from (
            select session_id, message_key, count(*) as n from ({_MESSAGES}) group by 1, 2
        ) group by 1
        """,  # noqa: S608 - as above
        _grouped("silver.int_messages", "sum(entries)", "bit_xor(hash(message_key, entries))"),
    ),
    Rule("silver.int_api_responses", "rows of usage", *_RESPONSE_SIDES),
    Rule("silver.int_tool_calls", "calls", *_CALL_SIDES),
    Rule(
        "silver.int_model_prices",
        "models",
        "select distinct model_id as place, 1 as n, 0 as h from silver.int_api_responses",
        "select distinct model_id as place, 1 as n, 0 as h from silver.int_model_prices",
        scope="history",
        place="model",
        needs=("silver.int_api_responses",),
    ),
    Rule(
        "gold.fct_api_responses",
        "responses",
        _grouped(
            "silver.int_api_responses", "count(*)", "bit_xor(hash(response_key, total_tokens))"
        ),
        _grouped("gold.fct_api_responses", "count(*)", "bit_xor(hash(response_key, total_tokens))"),
        needs=("silver.int_api_responses",),
    ),
    Rule(
        "gold.fct_api_responses",
        "tokens",
        """
        select fct.session_id as place, sum(coalesce(entries.input_tokens, 0)
            + coalesce(entries.output_tokens, 0) + coalesce(entries.cache_read_tokens, 0)) as n,
            0 as h
        from gold.fct_api_responses as fct
        left join checked_entries as entries using (entry_id)
        where {fct_messages} group by 1
        """,
        f"""
        select session_id as place, {_AMOUNTS} as n, 0 as h
        from gold.fct_api_responses where {{messages}} group by 1
        """,  # noqa: S608 - as above
    ),
    Rule(
        "gold.fct_tool_calls",
        "calls",
        _grouped("silver.int_tool_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
        _grouped("gold.fct_tool_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
        needs=("silver.int_tool_calls",),
    ),
    Rule(
        "gold.dim_sessions",
        "entries",
        f"""
        select place, any_value(entries) as n, {_SESSION_ROW} as h from (
            select sessions.place, sessions.n as entries,
                coalesce(messages.messages, 0)::bigint as messages,
                coalesce(messages.human_turns, 0)::bigint as human_turns,
                coalesce(usage.responses, 0)::bigint as responses,
                coalesce(usage.tokens, 0)::bigint as tokens,
                coalesce(calls.calls, 0)::bigint as calls
            from ({_ENTRIES}) as sessions
            left join (
                select session_id as place, count(*) as messages,
                    count(*) filter (where is_human_turn) as human_turns
                from silver.int_messages where {{sessions}} group by 1
            ) as messages using (place)
            left join (
                select session_id as place, count(*) as responses, sum(total_tokens) as tokens
                from gold.fct_api_responses where {{sessions}} group by 1
            ) as usage using (place)
            left join (
                select session_id as place, count(*) as calls
                from gold.fct_tool_calls where {{sessions}} group by 1
            ) as calls using (place)
        ) group by 1
        """,  # noqa: S608 - as above
        f"""
        select place, sum(entries) as n, {_SESSION_ROW} as h from (
            select session_id as place, entries, messages, human_turns, api_responses as responses,
                total_tokens as tokens, tool_calls as calls
            from gold.dim_sessions where {{sessions}}
        ) group by 1
        """,  # noqa: S608 - as above
        needs=(BRONZE, "silver.int_messages", "gold.fct_api_responses", "gold.fct_tool_calls"),
    ),
    Rule(
        "gold.agg_usage_daily",
        "responses",
        f"select {_DAY_KEY} as place, count(*) as n,"  # noqa: S608 - as above
        " sum(total_tokens)::hugeint + sum(coalesce(cost_nano_usd, 0)) as h"
        " from gold.fct_api_responses group by 1",
        f"select {_DAY_KEY} as place, sum(api_responses) as n,"  # noqa: S608 - as above
        " sum(total_tokens)::hugeint + sum(coalesce(cost_nano_usd, 0)) as h"
        " from gold.agg_usage_daily group by 1",
        scope="history",
        place="day",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_projects",
        "sessions",
        "select project_key as place, count(*) as n, 0 as h"
        " from silver.int_session_projects group by 1",
        "select project_key as place, sum(sessions) as n, 0 as h from gold.dim_projects group by 1",
        scope="small",
        place="project",
        needs=("silver.int_session_projects",),
    ),
    Rule(
        "gold.dim_models",
        "models",
        "select distinct model_id as place, 1 as n, 0 as h from gold.fct_api_responses",
        "select model_id as place, count(*) as n, 0 as h from gold.dim_models group by 1",
        scope="history",
        place="model",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_dates",
        "days",
        "select day::date::varchar as place, 1 as n, 0 as h from"  # noqa: S608 - as above
        f" generate_series(date '{FIRST_DAY}', date '{LAST_DAY}', interval 1 day) as t(day)",
        "select date_day::varchar as place, count(*) as n, 0 as h from gold.dim_dates group by 1",
        scope="small",
        place="day",
        needs=(),
    ),
)

SEALED: Mapping[str, tuple[str, str]] = {
    "silver.int_touched_entries": ("session_id", "entry_id"),
    "silver.int_response_rows": ("session_id", "entry_id"),
    "silver.int_model_prices": ("model_id", "price_key"),
}
"""Tables of a batch, and what bronze says nothing of: place and key by which they are noted."""

TOTALS: tuple[tuple[str, str, str, str], ...] = (
    ("silver.int_sessions", BRONZE, "count(*)", "sum(entries)"),
    ("silver.int_session_projects", BRONZE, "count(*)", "sum(entries)"),
    ("gold.dim_sessions", BRONZE, "count(*)", "sum(entries)"),
    ("gold.dim_sessions", "silver.int_messages", "count(*)", "sum(messages)"),
    ("gold.fct_api_responses", "silver.int_api_responses", "count(*)", "count(*)"),
    ("gold.dim_sessions", "gold.fct_api_responses", "count(*)", "sum(api_responses)"),
    ("gold.agg_usage_daily", "gold.fct_api_responses", "count(*)", "sum(api_responses)"),
    ("gold.fct_tool_calls", "silver.int_tool_calls", "count(*)", "count(*)"),
    ("gold.dim_models", "silver.int_model_prices", "count(distinct model_id)", "count(*)"),
    ("gold.dim_sessions", "gold.fct_tool_calls", "count(*)", "sum(tool_calls)"),
)
"""Totals that agree if no row of the history is missing: table, source, and both amounts."""
