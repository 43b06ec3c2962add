"""The counting rules, one by one: a small transcript in, exact integers out.

All transcripts go through the stages once, days in Berlin, with prices of our own for one model;
each test asks for its own session.
"""

from __future__ import annotations

from datetime import date

from tests.accuracy.conftest import Counted
from tests.accuracy.records import SONNET


def test_one_row_per_response(counted: Counted) -> None:
    """A-01: A message with its request is one response; namesakes are told apart by time."""
    rows = counted.rows(
        "select message_id, request_id, session_id, input_tokens, output_tokens, row_count,"
        " is_subagent from gold.fct_api_responses where session_id like 'one%' order by 1, 2, 3"
    )
    assert rows == [
        ("gw_1", None, "one", 5, 9, 2, False),
        ("gw_1", None, "one-b", 6, 10, 1, False),
        ("msg_1", "req_1", "one", 3, 7, 2, False),
        ("msg_1", "req_2", "one", 4, 8, 1, False),
        ("msg_2", "req_3", "one", 1, 2, 2, True),
    ]


def test_the_row_with_the_largest_output_counts(counted: Counted) -> None:
    """A-02: No sums over rows or iterations; of equal outputs the largest total counts."""
    rows = counted.rows(
        "select message_id, input_tokens, output_tokens, cache_read_tokens, total_tokens, row_count"
        " from gold.fct_api_responses where session_id = 'two' order by 1"
    )
    assert rows == [("msg_3", 10, 90, 100, 200, 3), ("msg_4", 900, 5, 0, 905, 3)]


def test_the_first_appearance_owns_the_response(counted: Counted) -> None:
    """A-03: Earliest, then main file, then path; a subagent's is its parent's."""
    rows = counted.rows(
        "select message_id, session_id, is_subagent, row_count from gold.fct_api_responses"
        " where message_id in ('msg_5', 'msg_6', 'msg_7') order by 1"
    )
    assert rows == [
        ("msg_5", "own-z", False, 2),
        ("msg_6", "own-a", False, 3),
        ("msg_7", "own-p", True, 1),
    ]
    assert counted.row(
        "select api_responses, subagent_responses, output_tokens from gold.dim_sessions"
        " where session_id = 'own-p'"
    ) == (1, 1, 3)


def test_days_are_those_of_the_users_zone(counted: Counted) -> None:
    """A-04: A day of 23 hours begins at 23:00 UTC and ends at 22:00 UTC."""
    rows = counted.rows(
        "select usage_date, sum(output_tokens)::bigint from gold.fct_api_responses"
        " where session_id = 'day' group by 1 order by 1"
    )
    assert rows == [(date(2026, 3, 28), 1), (date(2026, 3, 29), 110), (date(2026, 3, 30), 1000)]


def test_cache_writes_split_by_lifetime(counted: Counted) -> None:
    """A-05: What the parts leave of the top-level figure lasted five minutes."""
    rows = counted.rows(
        "select cache_write_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cost_nano_usd"
        " from gold.fct_api_responses where session_id = 'five' order by message_id"
    )
    assert rows == [
        (80, 30, 50, 30 * 3_750 + 50 * 6_000),
        (80, 30, 50, 412_500),
        (100, 50, 50, 487_500),
        (80, 30, 50, 412_500),
        (80, 80, 0, 300_000),
    ]


def test_a_request_above_the_threshold_moves_as_a_whole(counted: Counted) -> None:
    """A-06: Input, cache reads and cache writes decide, and all tokens cost the higher price."""
    rows = counted.rows(
        "select cost_nano_usd, cost_usd::varchar from gold.fct_api_responses"
        " where session_id = 'six' order by message_id"
    )
    base = 100_000 * 3_000 + 10 * 15_000 + 60_000 * 300 + 40_000 * 3_750
    high = 100_001 * 6_000 + 10 * 22_500 + 60_000 * 600 + 40_000 * 7_500
    assert rows == [(base, "0.468150000"), (high, "0.936231000")]


def test_web_searches_cost_a_cent_once(counted: Counted) -> None:
    """A-07: Searches stand on every row and are paid once."""
    assert counted.row(
        "select web_search_requests, cost_nano_usd, speed, inference_geo, service_tier"
        " from gold.fct_api_responses where session_id = 'seven'"
    ) == (2, 20_000_000, "standard", "not_available", None)


def test_synthetic_and_error_rows_are_no_responses(counted: Counted) -> None:
    """A-08: Neither is counted, and a model without a price costs null, not zero."""
    assert counted.rows(
        "select model_id, total_tokens, cost_nano_usd, cost_usd, is_priced, quality, price_version"
        " from gold.fct_api_responses where session_id = 'eight'"
    ) == [("nobody-knows-1", 18, None, None, False, "unpriced", None)]
    assert counted.row(
        "select api_responses, unpriced_responses, unpriced_tokens, cost_nano_usd"
        " from gold.agg_usage_daily where model_id = 'nobody-knows-1'"
    ) == (1, 1, 18, None)
    assert counted.row("select count(*) from gold.dim_models where model_id like '<%'") == (0,)


def test_quality_says_whether_the_final_row_is_there(counted: Counted) -> None:
    """A-09: A stop reason on any row is final, none is partial."""
    assert counted.rows(
        "select message_id, output_tokens, is_final, quality, stop_reason"
        " from gold.fct_api_responses where session_id = 'nine' order by 1"
    ) == [("msg_f", 9, True, "final", "x"), ("msg_g", 4, False, "partial", None)]


def test_prices_are_those_of_the_responses_time(counted: Counted) -> None:
    """A-10: Periods are half open, in UTC, and priced rows name the version."""
    rows = counted.rows(
        "select cost_nano_usd, price_version from gold.fct_api_responses"
        " where session_id = 'ten' order by occurred_at"
    )
    assert [cost for cost, _ in rows] == [None, 1_200_000, 12_000_000]
    assert rows[0][1] is None
    assert all("prices.csv" in version for _, version in rows[1:])


def test_human_turns_are_what_a_person_typed(counted: Counted) -> None:
    """A-13: String, block, named origin, picture, a prompt typed while it was busy; not blanks."""
    assert counted.row(
        "select human_turns, messages from gold.dim_sessions where session_id = 'turns'"
    ) == (5, 21)


def test_tool_calls_take_the_first_result_after_them(counted: Counted) -> None:
    """A-14: Copies are one call; an id used by two responses is two calls."""
    rows = counted.rows(
        "select tool_name, session_id, has_result, is_error, result_bytes, duration_ms, input_bytes"
        " from gold.fct_tool_calls where session_id like 'tools%' order by called_at"
    )
    assert rows == [
        ("Bash", "tools", True, True, 5, 2000, 7),
        ("Read", "tools", False, None, None, None, 7),
        ("Grep", "tools", True, False, 1, 1000, 7),
        ("Glob", "tools", True, False, 3, 2000, 7),
    ]


def test_hostile_lines_are_counted_and_stop_nothing(counted: Counted) -> None:
    """A-15: What is not a count is none, and every line is an entry."""
    rows = counted.rows(
        "select message_id, input_tokens, output_tokens, cache_read_tokens"
        " from gold.fct_api_responses where session_id = 'odd' order by 1"
    )
    assert rows == [("h1", 1, 2, 0), ("h2", 0, 3, 0), ("h3", 4, 0, 0), ("h4", 0, 6, 0)]
    assert counted.row("select entries from gold.dim_sessions where session_id = 'odd'") == (9,)


def test_a_project_is_a_working_folder(counted: Counted) -> None:
    """A-11: Windows paths are one whatever their spelling; without a path the folder is in."""
    rows = counted.rows(
        "select project_path, project_name, sessions from gold.dim_projects"
        " where project_key in (select project_key from gold.dim_sessions"
        " where session_id like 'path-%') order by sessions"
    )
    assert rows == [("-path-never", "-path-never", 1), ("C:/Code/App", "App", 4)]


def test_responses_without_a_time_have_a_day_of_their_own(counted: Counted) -> None:
    """A-12: They are counted, on no day, and at the price that holds at any time."""
    assert counted.rows(
        "select usage_date, api_responses, input_tokens, cost_nano_usd from gold.agg_usage_daily"
        " where usage_date is null"
    ) == [(None, 2, 1, 33_000)]


def test_daily_sums_are_the_sums_of_the_responses(counted: Counted) -> None:
    """The aggregate and the sessions add up to the fact table."""
    columns = ("input_tokens", "output_tokens", "cache_write_tokens", "total_tokens")
    sums = ", ".join(f"sum({column})::bigint" for column in columns)
    both = f"{sums}, sum(api_responses)::bigint, sum(cost_nano_usd)::bigint"
    facts = counted.row(
        f"select {sums}, count(*) from gold.fct_api_responses where quality <> 'declined'"
    )
    (cost,) = counted.row("select sum(cost_nano_usd)::bigint from gold.fct_api_responses")
    for table in ("agg_usage_daily", "dim_sessions"):
        *totals, costs = counted.row(f"select {both} from gold.{table}")
        assert (tuple(totals), costs) == (facts, cost), table


def test_prices_of_the_model_are_as_this_test_believes(counted: Counted) -> None:
    """The integers above rest on the book's prices of one model, USD per million."""
    rows = counted.rows(
        "select threshold_tokens, input_usd_per_million::varchar, output_usd_per_million::varchar"
        " from silver.int_model_prices where model_id = ? and service_tier is null"
        " and provider = 'anthropic' and priority <="
        " (select min(priority) from silver.int_model_prices"
        "  where model_id = ? and service_tier is null and threshold_tokens = 0) order by 1",
        SONNET,
        SONNET,
    )
    assert rows == [(0, "3.000000", "15.000000"), (200_000, "6.000000", "22.500000")]
