"""Generated transcripts against what the generator meant to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from examples.generator import Truth, write_hazards, write_sample
from tests.accuracy.conftest import Counted, settings_in

World = tuple[Counted, Truth]

SUMS = """
    count(*), count(*) filter (where not is_final), sum(input_tokens)::bigint,
    sum(output_tokens)::bigint, sum(cache_write_5m_tokens)::bigint,
    sum(cache_write_1h_tokens)::bigint, sum(cache_read_tokens)::bigint,
    sum(web_search_requests)::bigint
"""
FIELDS = (
    "responses",
    "partial_responses",
    "input",
    "output",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read",
    "web_searches",
)


@pytest.fixture(scope="module", params=[write_sample, write_hazards], ids=["sample", "hazards"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Write a tree, take it in, and return both what is counted and what was meant."""
    home: Path = tmp_path_factory.mktemp("generated")
    write: Callable[[Path], Truth] = request.param
    truth = write(home / "projects")
    counted = Counted(settings_in(home))
    counted.take_in()
    return counted, truth


@pytest.mark.parametrize(
    ("column", "grouping"),
    [
        ("usage_date::varchar", "by_day"),
        ("model_id", "by_model"),
        ("session_id", "by_session"),
    ],
)
def test_usage_is_what_was_meant(world: World, column: str, grouping: str) -> None:
    """Responses and tokens of each day, model and owning session."""
    counted, truth = world
    rows = counted.rows(f"select {column}, {SUMS} from gold.fct_api_responses group by 1")
    meant = {
        name: tuple(getattr(sums, field) for field in FIELDS)
        for name, sums in getattr(truth, grouping)().items()
    }
    assert {name: tuple(sums) for name, *sums in rows} == meant


def test_sessions_and_entries_are_what_was_meant(world: World) -> None:
    """Every session is there, and every entry once, however many copies lie about."""
    counted, truth = world
    sessions = {name for (name,) in counted.rows("select session_id from gold.dim_sessions")}
    assert sessions == truth.sessions
    meant = truth.totals()["entries"] - truth.copied_entries
    for query in (
        "select count(*) from bronze.stg_claude_code__entries",
        "select count(distinct entry_id) from bronze.stg_claude_code__entries",
        "select sum(entries)::bigint from gold.dim_sessions",
    ):
        assert counted.row(query) == (meant,), query


def test_tool_calls_and_human_turns_are_what_was_meant(world: World) -> None:
    """Calls leave out copies; turns count in every session that shows them."""
    counted, truth = world
    assert counted.row("select count(*) from gold.fct_tool_calls") == (truth.tool_calls,)
    assert counted.row("select sum(human_turns)::bigint from gold.dim_sessions") == (
        truth.human_turn_rows,
    )
