"""How each entry of bronze is accounted for in silver and gold: one rule for each table.

A rule computes from the layers before what a table has to hold, without the models' own tables of
work, and returns each place (a session, a day, a project) where the table holds something else
(docs/specs/completeness.md). The SQL reads relations that :mod:`loaders.completeness` makes:
``checked_bronze``, rows of bronze; ``foreign_entries``, the sessions that are none;
``checked_entries``, rows of the other sessions; and ``checked_responses``, those that are of a
response, with the key of that response.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loaders.completeness_tables import BRONZE, FOREIGN

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
    where {_IS_MESSAGE}
    qualify uuid is null or row_number() over (
        partition by session_id, uuid
        order by is_subagent_file, file_key, file_generation, byte_offset, entry_id
    ) = 1
"""  # noqa: S608 - names are constants


@dataclass(frozen=True, slots=True)
class Rule:
    """What a table has to hold.

    ``query`` returns each place that differs, with what is expected there and what is found, in
    ``unit``. ``scope`` is ``history`` if the rule reads more than the rows of a batch and small
    tables: it is left out for a batch. ``needs`` are the relations that are read besides the table.
    """

    table: str
    unit: str
    query: str
    scope: Literal["batch", "history"] = "batch"
    place: str = "session"
    needs: tuple[str, ...] = (BRONZE,)


def _compare(expected: str, found: str) -> str:
    """Return the query for two sides of ``place``, ``n`` and ``h``: a number and a hash."""
    return (
        "select place, coalesce(expected.n, 0), coalesce(found.n, 0)"  # noqa: S608
        f" from ({expected}) as expected full join ({found}) as found using (place)"
        " where expected.n is distinct from found.n or expected.h is distinct from found.h"
    )


def _compare_keys(expected: str, found: str) -> str:
    """Return the query for two sides of ``key``, ``amount`` and ``session_id``."""
    return (
        "select coalesce(found.session_id, expected.session_id) as place,"  # noqa: S608
        " coalesce(sum(expected.amount), 0), coalesce(sum(found.amount), 0)"
        f" from ({expected}) as expected full join ({found}) as found using (key)"
        " where expected.amount is distinct from found.amount group by 1"
    )


def _grouped(table: str, n: str, h: str = "0", *, place: str = "session_id") -> str:
    return f"select {place} as place, {n} as n, {h} as h from {table} group by 1"  # noqa: S608


_ENTRIES = _grouped("checked_entries", "count(*)")
_EXPECTED_RESPONSES = f"""
    select response_key as key, count(*) as amount, min(session_id) as session_id
    from checked_responses where {_BILLABLE} and {{messages}} group by 1
"""  # noqa: S608 - as above
_EXPECTED_CALLS = """
    select key, max(calls) as amount, min(session_id) as session_id from (
        select
            response_key || ' ' || coalesce(
                item.tool_use_id, 'block ' || item.block_index || ' of ' || entry_id
            ) as key,
            count(distinct (item.block_index, coalesce(uuid, entry_id))) as calls,
            min(session_id) as session_id
        from (
            select response_key, entry_id, uuid, session_id, file_key, file_generation,
                unnest(content_blocks) as item
            from checked_responses where not is_nested and {messages}
        )
        where item.block_type = 'tool_use'
        group by key, file_key, file_generation
    ) group by key
"""
_MESSAGE_KEYS = f"""
    select session_id as place, sum(n) as n, bit_xor(hash(message_key, n)) as h from (
        select session_id, message_key, count(*) as n from ({_MESSAGES}) group by 1, 2
    ) group by 1
"""  # noqa: S608 - as above
_TOKENS_OF_ENTRIES = """
    select session_id as place, 0 as h,
        sum(coalesce(entries.input_tokens, 0) + coalesce(entries.output_tokens, 0)
            + coalesce(entries.cache_read_tokens, 0)) as n
    from checked_usage as usage
    left join (
        select entry_id, input_tokens, output_tokens, cache_read_tokens from checked_entries
    ) as entries using (entry_id)
    where {messages} group by 1
"""
_TOKENS = """
    select session_id as place, 0 as h,
        sum(input_tokens + output_tokens + cache_read_tokens) as n
    from checked_usage where {messages} group by 1
"""
_SESSION_ROW = "bit_xor(hash(entries, messages, human_turns, responses, tokens, calls))"
_EXPECTED_SESSIONS = f"""
    select place, any_value(entries) as n, {_SESSION_ROW} as h from (
        select
            sessions.place, sessions.n as entries,
            coalesce(messages.messages, 0)::bigint as messages,
            coalesce(messages.human_turns, 0)::bigint as human_turns,
            coalesce(usage.responses, 0)::bigint as responses,
            coalesce(usage.tokens, 0)::bigint as tokens,
            coalesce(calls.calls, 0)::bigint as calls
        from ({_ENTRIES}) as sessions
        left join (
            select session_id as place, count(*) as messages,
                count(*) filter (where is_human_turn) as human_turns
            from checked_messages group by 1
        ) as messages using (place)
        left join (
            select session_id as place, count(*) as responses, sum(total_tokens) as tokens
            from checked_usage group by 1
        ) as usage using (place)
        left join (
            select session_id as place, count(*) as calls from checked_calls group by 1
        ) as calls using (place)
    ) group by 1
"""  # noqa: S608 - as above
_SESSIONS = f"""
    select place, sum(entries) as n, {_SESSION_ROW} as h from (
        select session_id as place, entries, messages, human_turns, api_responses as responses,
            total_tokens as tokens, tool_calls as calls
        from checked_dim_sessions
    ) group by 1
"""  # noqa: S608 - as above
_LOADED = """
    select session_id as place, count(*) as n, bit_xor(hash(entry_id)) as h from (
        select entry_id, min(session_id) as session_id
        from raw.records
        where record_kind = 'entry' and entry_id not in (select entry_id from raw.new_records)
        group by entry_id
    ) group by 1
"""
_BRONZE = """
    select session_id as place, count(*) as n, bit_xor(hash(entry_id)) as h
    from checked_bronze
    where entry_id not in (select entry_id from raw.new_records) group by 1
"""
_DAYS = f"""
    select day::date::varchar as place, 1 as n, 0 as h
    from generate_series(date '{FIRST_DAY}', date '{LAST_DAY}', interval 1 day) as t(day)
"""  # noqa: S608 - as above
_DAY_KEY = (
    "concat_ws(' ', coalesce(usage_date::varchar, 'without a date'), project_key, model_id,"
    " case when is_subagent then 'subagent' end)"
)
_DAY_HASH = "sum(total_tokens)::hugeint + sum(coalesce(cost_nano_usd, 0))"
_USAGE_HASH = "bit_xor(hash(response_key, total_tokens))"


def _models(table: str) -> str:
    return f"select distinct model_id as place, 1 as n, 0 as h from {table}"  # noqa: S608


RULES: tuple[Rule, ...] = (
    Rule(
        BRONZE,
        "entries",
        _compare(_LOADED, _BRONZE),
        scope="history",
        needs=("raw.records", "raw.new_records"),
    ),
    Rule(
        FOREIGN,
        "entries",
        _compare(
            _grouped("foreign_entries", "sum(entries)"),
            _grouped("checked_foreign", "sum(entries)"),
        ),
    ),
    Rule(
        "silver.int_sessions",
        "entries",
        _compare(_ENTRIES, _grouped("checked_sessions", "sum(entries)")),
    ),
    Rule(
        "silver.int_session_projects",
        "entries",
        _compare(_ENTRIES, _grouped("checked_session_projects", "sum(entries)")),
    ),
    Rule(
        "silver.int_messages",
        "entries",
        _compare(
            _MESSAGE_KEYS,
            _grouped("checked_messages", "sum(entries)", "bit_xor(hash(message_key, entries))"),
        ),
    ),
    Rule(
        "silver.int_api_responses",
        "rows of usage",
        _compare_keys(
            _EXPECTED_RESPONSES,
            "select response_key as key, sum(row_count) as amount, min(session_id) as session_id"
            " from checked_api_responses where {messages} group by 1",
        ),
    ),
    Rule(
        "silver.int_tool_calls",
        "calls",
        _compare_keys(
            _EXPECTED_CALLS,
            "select response_key || ' ' || tool_use_id as key, count(*) as amount,"
            " min(session_id) as session_id from checked_tool_calls where {messages} group by 1",
        ),
    ),
    Rule(
        "silver.int_model_prices",
        "models",
        _compare(_models("silver.int_api_responses"), _models("silver.int_model_prices")),
        scope="history",
        place="model",
        needs=("silver.int_api_responses",),
    ),
    Rule(
        "gold.fct_api_responses",
        "responses",
        _compare(
            _grouped("checked_api_responses", "count(*)", _USAGE_HASH),
            _grouped("checked_usage", "count(*)", _USAGE_HASH),
        ),
        needs=("silver.int_api_responses",),
    ),
    Rule("gold.fct_api_responses", "tokens", _compare(_TOKENS_OF_ENTRIES, _TOKENS)),
    Rule(
        "gold.fct_tool_calls",
        "calls",
        _compare(
            _grouped("checked_tool_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
            _grouped("checked_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
        ),
        needs=("silver.int_tool_calls",),
    ),
    Rule(
        "gold.dim_sessions",
        "entries",
        _compare(_EXPECTED_SESSIONS, _SESSIONS),
        needs=(BRONZE, "silver.int_messages", "gold.fct_api_responses", "gold.fct_tool_calls"),
    ),
    Rule(
        "gold.agg_usage_daily",
        "responses",
        _compare(
            _grouped("gold.fct_api_responses", "count(*)", _DAY_HASH, place=_DAY_KEY),
            _grouped("gold.agg_usage_daily", "sum(api_responses)", _DAY_HASH, place=_DAY_KEY),
        ),
        scope="history",
        place="day",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_projects",
        "sessions",
        _compare(
            _grouped("silver.int_session_projects", "count(*)", place="project_key"),
            _grouped("gold.dim_projects", "sum(sessions)", place="project_key"),
        ),
        place="project",
        needs=("silver.int_session_projects",),
    ),
    Rule(
        "gold.dim_models",
        "models",
        _compare(_models("gold.fct_api_responses"), _models("gold.dim_models")),
        scope="history",
        place="model",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_dates",
        "days",
        _compare(_DAYS, _grouped("gold.dim_dates", "count(*)", place="date_day::varchar")),
        place="day",
        needs=(),
    ),
)
