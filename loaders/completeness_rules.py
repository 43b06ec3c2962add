"""How each entry of bronze is accounted for in silver and gold: one rule for each table.

A rule computes from the layers before what a table has to hold, without the models' own tables of
work, and returns each place (a session, a day, a project) where the table holds something else
(docs/specs/completeness.md). The SQL reads relations that :mod:`loaders.completeness` makes:
``checked_bronze``, rows of bronze; ``foreign_entries``, the sessions that are none;
``checked_entries``, rows of the other sessions; and ``checked_responses``, those that are of a
response, with the key of that response. ``{messages}`` stands for a condition on messages that a
batch built again, ``{rebuilt}`` for one on its responses in tables whose sessions it built again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loaders.completeness_keys import BILLABLE, CHOSEN_ROW, hash_key
from loaders.completeness_tables import BRONZE, FIRST_DAY, FOREIGN, LAST_DAY

_IS_MESSAGE = "(entry_type in ('user', 'assistant') or is_human_turn)"


_COPIES = f"""
    select entry_id from (
        select entry_id, row_number() over (
            partition by session_id, uuid
            order by is_subagent_file, file_key, file_generation, byte_offset, entry_id
        ) as place
        from checked_entries
        where {_IS_MESSAGE} and uuid is not null and hash(session_id, uuid) in (
            select hash(session_id, uuid) from checked_entries
            where uuid is not null and {_IS_MESSAGE}
            group by 1 having count(*) > 1
        )
    ) where place > 1
"""  # noqa: S608 - names are constants
_MESSAGES = f"""
    select session_id, {
    hash_key(
        "session_id",
        "case when entry_type = 'assistant' then 'assistant' else 'user' end",
        "message_id",
        "request_id",
        "case when message_id is null then coalesce(uuid, entry_id) end",
    )
} as message_key
    from checked_entries
    where {_IS_MESSAGE} and entry_id not in ({_COPIES})
"""  # noqa: S608 - names are constants


@dataclass(frozen=True, slots=True)
class Rule:
    """What a table has to hold.

    ``expected`` and ``found`` are queries of two sides: a number and a hash for each place
    (``place``, ``n``, ``h``), or with ``by_key`` an amount and a session for each key (``key``,
    ``amount``, ``session_id``). ``unit`` is what is counted. ``scope`` is ``history`` if a rule
    reads more than the rows of a batch: it is left out for a batch. With ``is_total`` the totals
    of whole tables prove it for the last batch. ``needs`` are the relations that are read besides
    the table. ``quick`` is a query that is true only if the rule holds; else the rule decides.
    """

    table: str
    unit: str
    expected: str
    found: str
    scope: Literal["batch", "history"] = "batch"
    place: str = "session"
    needs: tuple[str, ...] = (BRONZE,)
    by_key: bool = False
    is_total: bool = False
    quick: str = ""

    def differences(self) -> str:
        """Return the query for each place that differs: what is expected there, what is found."""
        sides = f"({self.expected}) as expected full join ({self.found}) as found"
        if self.by_key:
            return (
                "select coalesce(found.session_id, expected.session_id) as place,"  # noqa: S608
                " coalesce(sum(expected.amount), 0), coalesce(sum(found.amount), 0)"
                f" from {sides} using (key)"
                " where expected.amount is distinct from found.amount group by 1"
            )
        return (
            "select place, coalesce(expected.n, 0), coalesce(found.n, 0)"  # noqa: S608
            f" from {sides} using (place)"
            " where expected.n is distinct from found.n or expected.h is distinct from found.h"
        )

    def sides(self) -> tuple[str, str]:
        """Return both sides with the columns ``place``, ``n`` and ``h``."""
        if not self.by_key:
            return self.expected, self.found
        keyed = "select key as place, amount as n, 0 as h from ({})"
        return keyed.format(self.expected), keyed.format(self.found)


def _grouped(table: str, n: str, h: str = "0", *, place: str = "session_id") -> str:
    return f"select {place} as place, {n} as n, {h} as h from {table} group by 1"  # noqa: S608


_ENTRIES = _grouped("checked_entries", "count(*)")
_EXPECTED_RESPONSES = f"""
    select hash(response_key) as key, min(session_id) as session_id,
        count(*) + coalesce(
            arg_max(coalesce(len(steps), 0), ({CHOSEN_ROW})) filter (where may_have_steps), 0
        ) as amount
    from (
        select *, message_id in (
            select message_id from checked_entries where message_id is not null and len(steps) > 0
        ) as may_have_steps
        from checked_responses
    ) where {BILLABLE} and {{messages}} group by 1
"""  # noqa: S608 - as above
"""Whole rows of every response would not fit into memory: they are compared if steps are there."""

_EXPECTED_CALLS = """
    select key, max(calls) as amount, min(session_id) as session_id from (
        select
            hash(response_key, coalesce(
                item.tool_use_id, 'block ' || item.block_index || ' of ' || entry_id
            )) as key,
            count(distinct hash(
                item.block_index,
                case when is_nested then coalesce(nested_uuid, '') else coalesce(uuid, entry_id) end
            )) as calls,
            min(session_id) as session_id
        from (
            select response_key, entry_id, uuid, nested_uuid, is_nested, session_id, file_key,
                file_generation,
                unnest(list_filter(content_blocks, lambda b: b.block_type like '%tool_use')) as item
            from checked_responses where {messages}
        )
        group by key, file_key, file_generation
    ) group by key
"""
_MESSAGE_KEYS = f"""
    select session_id as place, sum(n) as n, bit_xor(hash(message_hash, n)) as h from (
        select min(session_id) as session_id, hash(message_key) as message_hash, count(*) as n
        from ({_MESSAGES}) group by hash(message_key)
    ) group by 1
"""  # noqa: S608 - as above
_TOKENS_OF_ENTRIES = """
    select session_id as place, 0 as h,
        sum(case when usage.step_place is null
            then coalesce(entries.input_tokens, 0) + coalesce(entries.output_tokens, 0)
                + coalesce(entries.cache_read_tokens, 0)
            else list_sum(list_transform(
                list_filter(entries.steps, lambda step: step.place = usage.step_place),
                lambda step: step.input_tokens + step.output_tokens + step.cache_read_tokens
            )) end) as n
    from checked_usage as usage
    left join (
        select entry_id, input_tokens, output_tokens, cache_read_tokens, steps from checked_entries
    ) as entries using (entry_id)
    where {messages} group by 1
"""
_TOKENS = """
    select session_id as place, 0 as h,
        sum(input_tokens + output_tokens + cache_read_tokens) as n
    from checked_usage where {messages} group by 1
"""
_SESSION_ROW = "hash(sum(messages), sum(human_turns), sum(responses), sum(tokens), sum(calls))"
_EXPECTED_SESSIONS = f"""
    select session_id as place, sum(entries) as n, {_SESSION_ROW} as h from (
        select session_id, 1 as entries, 0 as messages, 0 as human_turns, 0 as responses,
            0 as tokens, 0 as calls
        from checked_entries
        union all select session_id, 0, 1, is_human_turn::integer, 0, 0, 0 from checked_messages
        union all select session_id, 0, 0, 0, 1, total_tokens, 0 from checked_usage
        where quality <> 'declined'
        union all select session_id, 0, 0, 0, 0, 0, 1 from checked_calls
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
SUMMED = "count(*) as n, sum(hash({})::hugeint) as h"
"""Equal only if the same rows are there equally often: the sum of their hashes has 128 bits."""

_SAME_ROWS = SUMMED.format("entry_id, session_id")
_SAME_BRONZE = f"""
    select loaded = kept from (
        select {_SAME_ROWS} from raw.records where record_kind = 'entry'
            and entry_id not in (select entry_id from raw.new_records)
    ) as loaded, (
        select {_SAME_ROWS} from checked_bronze
        where entry_id not in (select entry_id from raw.new_records)
    ) as kept
"""  # noqa: S608 - as above
_DAYS = f"""
    select day::date::varchar as place, 1 as n, 0 as h
    from generate_series(date '{FIRST_DAY}', date '{LAST_DAY}', interval 1 day) as t(day)
"""  # noqa: S608 - as above
_DAY_KEY = (
    "concat_ws(' ', coalesce(usage_date::varchar, 'without a date'), project_key, model_id,"
    " case when is_subagent then 'subagent' end)"
)
_COSTS = "sum(coalesce(cost_nano_usd, 0))"
_USAGE_HASH = "bit_xor(hash(response_key, total_tokens))"


def _models(table: str) -> str:
    return f"select distinct model_id as place, 1 as n, 0 as h from {table}"  # noqa: S608


RULES: tuple[Rule, ...] = (
    Rule(
        BRONZE,
        "entries",
        _LOADED,
        _BRONZE,
        scope="history",
        needs=("raw.records", "raw.new_records"),
        quick=_SAME_BRONZE,
    ),
    Rule(
        FOREIGN,
        "entries",
        _grouped("foreign_entries", "sum(entries)"),
        _grouped("checked_foreign", "sum(entries)"),
    ),
    Rule(
        "silver.int_sessions",
        "entries",
        _ENTRIES,
        _grouped("checked_sessions", "sum(entries)"),
        is_total=True,
    ),
    Rule(
        "silver.int_messages",
        "entries",
        _MESSAGE_KEYS,
        _grouped("checked_messages", "sum(entries)", "bit_xor(hash(hash(message_key), entries))"),
    ),
    Rule(
        "silver.int_api_responses",
        "rows of usage",
        _EXPECTED_RESPONSES,
        "select hash(coalesce(parent_response_key, response_key)) as key,"
        " sum(row_count) as amount,"
        " min(session_id) as session_id"
        " from checked_api_responses where {messages} group by 1",
        by_key=True,
    ),
    Rule(
        "silver.int_tool_calls",
        "calls",
        _EXPECTED_CALLS,
        "select hash(response_key, tool_use_id) as key, count(*) as amount,"
        " min(session_id) as session_id from checked_tool_calls where {messages} group by 1",
        by_key=True,
    ),
    Rule(
        "silver.int_model_prices",
        "models",
        _models("silver.int_api_responses"),
        _models("silver.int_model_prices"),
        scope="history",
        place="model",
        needs=("silver.int_api_responses",),
    ),
    Rule(
        "gold.fct_api_responses",
        "responses",
        _grouped("checked_api_responses", "count(*)", _USAGE_HASH),
        _grouped("checked_usage where {rebuilt}", "count(*)", _USAGE_HASH),
        needs=("silver.int_api_responses",),
    ),
    Rule("gold.fct_api_responses", "tokens", _TOKENS_OF_ENTRIES, _TOKENS),
    Rule(
        "gold.fct_tool_calls",
        "calls",
        _grouped("checked_tool_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
        _grouped("checked_calls", "count(*)", "bit_xor(hash(tool_call_key))"),
        needs=("silver.int_tool_calls",),
        is_total=True,
    ),
    Rule(
        "gold.dim_sessions",
        "entries",
        _EXPECTED_SESSIONS,
        _SESSIONS,
        needs=(BRONZE, "silver.int_messages", "gold.fct_api_responses", "gold.fct_tool_calls"),
    ),
    Rule(
        "gold.agg_usage_daily",
        "responses",
        _grouped(
            "gold.fct_api_responses",
            "count(*)",
            f"sum(total_tokens)::hugeint + {_COSTS}",
            place=_DAY_KEY,
        ),
        _grouped(
            "gold.agg_usage_daily",
            "sum(api_responses + declined_attempts)",
            f"sum(total_tokens + declined_tokens)::hugeint + {_COSTS}",
            place=_DAY_KEY,
        ),
        scope="history",
        place="day",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_projects",
        "sessions",
        _grouped("silver.int_sessions", "count(*)", place="project_key"),
        _grouped("gold.dim_projects", "sum(sessions)", place="project_key"),
        scope="history",
        place="project",
        needs=("silver.int_sessions",),
    ),
    Rule(
        "gold.dim_models",
        "models",
        _models("gold.fct_api_responses"),
        _models("gold.dim_models"),
        scope="history",
        place="model",
        needs=("gold.fct_api_responses",),
    ),
    Rule(
        "gold.dim_dates",
        "days",
        _DAYS,
        _grouped("gold.dim_dates", "count(*)", place="date_day::varchar"),
        scope="history",
        place="day",
        needs=(),
    ),
)
