"""Real transcripts against an independent counter, to the token."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from extractors.extract import extract
from loaders.load import load
from loaders.transform import transform
from sync_agent.agent.once import sync_once
from tests.accuracy.conftest import Counted, settings_in

SHARED = Path(os.environ.get("ANNALS_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    """Return what the independent counter found, or skip where the transcripts are not here."""
    path = SHARED / "transcripts" / "TRUTH.json"
    if not path.exists():
        pytest.skip(f"no real transcripts: {path} is not there")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def counted(truth: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Take in the real transcripts."""
    home = tmp_path_factory.mktemp("truth")
    settings = settings_in(home, claude_dir=SHARED / "transcripts" / "projects")
    for stage in (sync_once, extract, load):
        stage(settings)
    transform(settings, run_tests=True)
    return Counted(settings)


def test_tokens_in_sum(counted: Counted, truth: dict[str, Any]) -> None:
    """Input, output, cache writes, cache reads, and the one-hour part of the cache writes."""
    found = counted.row(
        "select sum(input_tokens)::bigint, sum(output_tokens)::bigint,"
        " sum(cache_write_tokens)::bigint, sum(cache_read_tokens)::bigint,"
        " sum(cache_write_1h_tokens)::bigint from gold.agg_usage_daily"
    )
    assert list(found) == truth["tokens"]["max_output"]


def test_tokens_of_each_day(counted: Counted, truth: dict[str, Any]) -> None:
    """Every UTC day has the tokens that the counter found, and there is no other day."""
    rows = counted.rows(
        "select usage_date::varchar, sum(input_tokens)::bigint, sum(output_tokens)::bigint,"
        " sum(cache_write_tokens)::bigint, sum(cache_read_tokens)::bigint"
        " from gold.agg_usage_daily group by 1"
    )
    found = {day: dict(zip(("in", "out", "cw", "cr"), sums, strict=True)) for day, *sums in rows}
    assert found == truth["days"]


def test_responses_and_their_quality(counted: Counted, truth: dict[str, Any]) -> None:
    """Responses, those with a final row, and those of subagents."""
    found = counted.row(
        "select count(*), count(*) filter (where is_final), count(*) filter (where is_subagent)"
        " from gold.fct_api_responses where quality <> 'declined'"
    )
    assert found == (truth["responses"], truth["final"], truth["sidechain_responses"])


def test_models(counted: Counted, truth: dict[str, Any]) -> None:
    """Each model has as many responses as the counter found."""
    rows = counted.rows(
        "select model_id, count(*) from gold.fct_api_responses"
        " where quality <> 'declined' group by 1"
    )
    assert dict(rows) == truth["models"]


def test_tool_calls(counted: Counted, truth: dict[str, Any]) -> None:
    """As many calls as there are distinct ids, and each result finds its call."""
    found = counted.row(
        "select count(*), count(*) filter (where has_result) from gold.fct_tool_calls"
        " where not is_nested"
    )
    assert found == (truth["tool_uses"], truth["paired"])
    (nested,) = counted.row("select count(*) from gold.fct_tool_calls where is_nested")
    assert nested == truth["counts"]["nested_usage_rows"]


def test_entries_and_rows_with_usage(counted: Counted, truth: dict[str, Any]) -> None:
    """Every record is an entry once; rows with usage, nested and synthetic ones are known."""
    found = counted.row(
        "select count(*), count(*) filter (where has_usage and model_id <> '<synthetic>'),"
        " count(*) filter (where has_usage and is_nested),"
        " count(*) filter (where has_usage and model_id = '<synthetic>')"
        " from bronze.stg_claude_code__entries"
    )
    counts = truth["counts"]
    assert found == (
        counts["records"],
        counts["usage_rows"],
        counts["nested_usage_rows"],
        counts["synthetic_rows"],
    )
