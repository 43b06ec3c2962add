"""What a response costs beside its own tokens: the transcript in, exact integers out."""

from __future__ import annotations

from tests.accuracy.conftest import Counted


def test_steps_beside_the_totals_are_rows_of_their_own(counted: Counted) -> None:
    """A-02: Advisor, compaction and unknown steps are charged once, under their model."""
    rows = counted.rows(
        "select message_id, step_type, model_id, session_id, input_tokens, output_tokens,"
        " cost_nano_usd, quality from gold.fct_api_responses where session_id like 'steps%'"
        " and message_id in ('steps_1', 'steps_2') order by 1, step_place nulls first"
    )
    sonnet, opus, opus_7 = "claude-sonnet-4-6", "claude-opus-4-6", "claude-opus-4-7"
    assert rows == [
        ("steps_1", None, sonnet, "steps", 2, 491, 2 * 3_000 + 491 * 15_000, "final"),
        ("steps_1", "advisor_message", opus_7, "steps", 159_419, 7_805, 992_220_000, "final"),
        ("steps_2", None, opus, "steps", 23_000, 1_000, 140_000_000, "final"),
        ("steps_2", "compaction", opus, "steps", 180_000, 3_500, 987_500_000, "final"),
        ("steps_2", "reflection", opus, "steps", 10, 1, 75_000, "final"),
    ]


def test_declined_attempts_cost_what_they_said(counted: Counted) -> None:
    """A-02: An attempt has a row and a cost if it said anything; its tokens are in no total."""
    rows = counted.rows(
        "select message_id, model_id, input_tokens, output_tokens, cache_write_5m_tokens,"
        " cache_write_1h_tokens, cache_read_tokens, cost_nano_usd from gold.fct_api_responses"
        " where session_id = 'steps' and quality = 'declined' order by 1"
    )
    cost = 2 * 10_000 + 500 * 50_000 + 10 * 12_500 + 30 * 20_000 + 300 * 1_000
    assert rows == [
        ("steps_3", "claude-fable-5", 2, 500, 10, 30, 300, cost),
        ("steps_4", "claude-fable-5", 2, 0, 10, 30, 300, 0),
    ]
    assert counted.row(
        "select sum(api_responses)::int, sum(total_tokens)::int, sum(declined_attempts)::int,"
        " sum(declined_tokens)::int, sum(cost_nano_usd)::int from gold.agg_usage_daily"
        " where model_id = 'claude-fable-5'"
    ) == (0, 0, 2, 842 + 342, cost)


def test_the_row_with_most_iterations_counts(counted: Counted) -> None:
    """A-02: The number of iterations comes before the output."""
    assert counted.row(
        "select output_tokens, row_count from gold.fct_api_responses where session_id = 'most'"
    ) == (40, 2)


def test_modifiers_have_their_price_or_none(counted: Counted) -> None:
    """A-07: Factors by model and date, one for each modifier; without a price never 1x."""
    rows = counted.rows(
        "select message_id, cost_nano_usd, price_factor::varchar from gold.fct_api_responses"
        " where session_id = 'mods' order by 1"
    )
    costs = {name: cost for name, cost, _ in rows}
    opus = 1_000 * 5_000 + 100 * 25_000
    assert costs == {
        "mods_07": 6 * opus,
        "mods_10": 6 * opus,
        "mods_11": None,
        "mods_12": 2 * opus,
        "mods_13": 8_250_000,
        "mods_14": 3_750_000,
        "mods_15": 49_500_000,
        **dict.fromkeys(("mods_16", "mods_17", "mods_18", "mods_19"), opus),
        **dict.fromkeys([f"mods_{number}" for number in range(20, 27)], None),
        "mods_50": 10_000_000,
    }
    assert {name: factor for name, _, factor in rows}["mods_15"] == "6.600000"
    assert counted.rows(
        "select distinct quality from gold.fct_api_responses"
        " where session_id = 'mods' and not is_priced"
    ) == [("unpriced",)]


def test_a_context_suffix_is_not_a_model(counted: Counted) -> None:
    """A-07: The suffix is a column of its own, and no model is called by it."""
    assert counted.rows(
        "select model_id, context_window from gold.fct_api_responses"
        " where message_id in ('mods_16', 'mods_17', 'mods_26') order by message_id"
    ) == [("claude-opus-5", "1m"), ("claude-opus-4-6", "1m"), ("claude-opus-5", "2m")]
    assert counted.row("select count(*) from gold.dim_models where model_id like '%]'") == (0,)


def test_forks_without_a_request_id_are_copies(counted: Counted) -> None:
    """A-01: The original's key counts, through forks of forks; a vendor's id needs no time."""
    assert counted.rows(
        "select message_id, session_id, row_count from gold.fct_api_responses"
        " where session_id like 'gate%' order by 1, 2"
    ) == [
        ("gw_named", "gate", 2),
        ("gw_short", "gate", 3),
        ("gw_short", "gate_d", 1),
        ("msg_01AaBbCcDdEeFfGgHhIi", "gate", 2),
        ("msg_bdrk_01Aa1", "gate", 2),
    ]


def test_cache_reads_have_the_price_of_their_day(counted: Counted) -> None:
    """A-10: A price that was cut holds from the day of the cut."""
    assert counted.rows(
        "select cost_nano_usd from gold.fct_api_responses where session_id = 'cut'"
        " order by occurred_at"
    ) == [(200_000_000,), (100_000_000,)]


def test_a_priced_row_names_its_provider(counted: Counted) -> None:
    """A-10: Where several sell a model, the row says whose price it has, and by which rule."""
    provider, rule, version = counted.row(
        "select price_provider, price_rule, price_version from gold.fct_api_responses"
        " where session_id = 'glm'"
    )
    assert (bool(provider), bool(rule), bool(version)) == (True, True, True)
    assert counted.row(
        "select count(*) from gold.fct_api_responses where is_priced and price_factor is not null"
        " and (price_provider is null or price_rule is null or price_version is null)"
    ) == (0,)


def test_recorded_costs_stand_beside_ours(counted: Counted) -> None:
    """A-10: The cost that an older transcript records is kept, once a response."""
    assert counted.row(
        "select cost_nano_usd, recorded_cost_nano_usd from gold.fct_api_responses"
        " where session_id = 'old'"
    ) == (25_000, 500_000_000)


def test_partial_and_unpriced_are_counted_alike(counted: Counted) -> None:
    """A-09: A response may be both, in the sums of its day and of its session."""
    for table in ("agg_usage_daily where model_id = 'unlisted-2' and usage_date = '2026-09-01'",
                  "dim_sessions where session_id = 'unsure'"):  # fmt: skip
        query = f"select partial_responses, unpriced_responses from gold.{table}"
        assert counted.row(query) == (1, 1), table


def test_the_vendors_totals_stand_beside_ours(counted: Counted) -> None:
    """A-17: Of the main file's cost-state records the last counts; the difference is a column."""
    assert counted.row(
        "select cost_nano_usd, vendor_cost_nano_usd, vendor_difference_nano_usd,"
        " vendor_cost_usd::varchar from gold.dim_sessions where session_id = 'vendor'"
    ) == (7_500_000, 15_000_000, 7_500_000, "0.015000000")
    assert counted.rows(
        "select model_id, vendor_input_tokens, total_tokens, vendor_cost_nano_usd, cost_nano_usd,"
        " difference_nano_usd from gold.fct_vendor_costs order by 1"
    ) == [
        ("claude-haiku-4-5", 1_360, 0, 4_800_000, 0, 4_800_000),
        ("claude-opus-5", 1_360, 1_100, 10_200_000, 7_500_000, 2_700_000),
    ]


def test_no_column_is_a_float(counted: Counted) -> None:
    """Money and counts are whole numbers or decimals in every layer."""
    assert counted.rows(
        "select table_name, column_name from information_schema.columns"
        " where table_schema in ('bronze', 'silver', 'gold')"
        " and (data_type like '%DOUBLE%' or data_type like '%FLOAT%')"
    ) == []  # fmt: skip
