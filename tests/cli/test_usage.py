"""``annals usage``: the figures, the keys of ccusage, and what is said beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from examples.generator import Totals, Truth, write_sample
from tests.conftest import Built

ROW_KEYS = {
    "inputTokens",
    "outputTokens",
    "cacheCreationTokens",
    "cacheReadTokens",
    "totalTokens",
    "totalCost",
}
BREAKDOWN_KEYS = {
    "modelName",
    "inputTokens",
    "outputTokens",
    "cacheCreationTokens",
    "cacheReadTokens",
    "cost",
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Return what the bundled sample really holds."""
    return write_sample(tmp_path_factory.mktemp("sample"))


def _tokens(row: dict[str, Any]) -> tuple[int, ...]:
    names = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")
    return tuple(row[name] for name in names)


def _meant(sums: Totals) -> tuple[int, ...]:
    return sums.input, sums.output, sums.cache_write, sums.cache_read


def test_daily_has_the_keys_of_ccusage(built: Built) -> None:
    """Every key that scripts written for ccusage read is there, with its type."""
    report = built.read("usage", "daily", "--json").data
    assert report["schema_version"] == 1
    assert report["sample"] is True
    assert set(report["totals"]) == ROW_KEYS | {"unpricedModels"}
    assert report["daily"]
    for row in report["daily"]:
        assert {"date", "modelsUsed", "modelBreakdowns"} | ROW_KEYS <= set(row)
        assert row["modelsUsed"] == sorted(part["modelName"] for part in row["modelBreakdowns"])
        assert all(
            set(part) - {"missingPricing"} == BREAKDOWN_KEYS for part in row["modelBreakdowns"]
        )
        assert row["totalTokens"] == sum(_tokens(row))
        assert isinstance(row["totalCost"], float)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
def test_days_are_those_of_the_zone(built: Built, truth: Truth, zone: str) -> None:
    """In the build's own zone and in any other, each day has exactly the tokens that were meant."""
    report = built.read("usage", "daily", "--json", "--timezone", zone).data
    found = {row["date"]: _tokens(row) for row in report["daily"]}
    assert found == {day: _meant(sums) for day, sums in truth.by_day(ZoneInfo(zone)).items()}
    assert _tokens(report["totals"]) == _meant(truth.usage())
    assert report["timezone"] == zone


def test_totals_and_parts_add_up(built: Built) -> None:
    """Days add up to the totals, and models to their day, in tokens and in money."""
    report = built.read("usage", "daily", "--json").data
    for row in report["daily"]:
        sums = tuple(map(sum, zip(*map(_tokens, row["modelBreakdowns"]), strict=True)))
        assert sums == _tokens(row)
        priced = [part["cost"] for part in row["modelBreakdowns"] if part["cost"] is not None]
        assert sum(priced) == pytest.approx(row["totalCost"], abs=1e-9)
    cost = sum(row["totalCost"] for row in report["daily"])
    assert cost == pytest.approx(report["totals"]["totalCost"], abs=1e-9)
    assert cost > 0


def test_partial_and_unpriced_are_said(built: Built, truth: Truth) -> None:
    """What is partial or has no price is counted and named, and never given a cost."""
    quality = built.read("usage", "daily", "--json").data["quality"]
    assert quality["responses"] == len(truth.responses)
    assert quality["partialResponses"] == truth.usage().partial_responses > 0
    assert 0 < quality["partialOutputShare"] < 1
    (unpriced,) = quality["unpricedModels"]
    models = built.read("usage", "models", "--json").data["models"]
    costs = {model["modelName"]: model["totalCost"] for model in models}
    assert costs[unpriced] is None
    assert all(cost is not None for name, cost in costs.items() if name != unpriced)
    table = built.read("usage", "daily").out
    assert "partial: " in table
    assert f"in no cost: {unpriced}" in table


def test_sessions_charge_the_owner(built: Built, truth: Truth) -> None:
    """Each session has the tokens of the responses it owns; the most expensive is the first."""
    report = built.read("usage", "session", "--json").data
    found = {row["sessionId"]: _tokens(row) for row in report["sessions"]}
    assert found == {name: _meant(sums) for name, sums in truth.by_session().items()}
    costs = [row["totalCost"] or 0 for row in report["sessions"]]
    assert costs == sorted(costs, reverse=True)
    row = report["sessions"][0]
    assert row["projectPath"]
    assert row["firstActivity"] <= row["lastActivity"]
    assert row["lastActivity"].endswith("Z")


def test_models_have_what_was_meant(built: Built, truth: Truth) -> None:
    """Each model has exactly the tokens of its responses."""
    report = built.read("usage", "models", "--json").data
    found = {row["modelName"]: _tokens(row) for row in report["models"]}
    assert found == {name: _meant(sums) for name, sums in truth.by_model().items()}


def test_a_window_includes_both_its_days(built: Built, truth: Truth) -> None:
    """--since and --until take both forms of a day, and both days count."""
    days = list(truth.by_day())
    since, until = days[1], days[3]
    report = built.read(
        "usage", "daily", "--json", "--since", since.replace("-", ""), "--until", until
    ).data
    assert [row["date"] for row in report["daily"]] == days[1:4]
    empty = built.read("usage", "daily", "--json", "--since", "20990101").data
    assert empty["daily"] == []
    assert empty["totals"]["totalCost"] is None
    assert "no usage" in built.read("usage", "daily", "--since", "20990101").out


def test_a_project_is_found_by_name_and_path(built: Built) -> None:
    """--project takes the name or the path; the projects together have everything."""
    sessions = built.read("sessions", "list", "--json").data["sessions"]
    projects = {row["project_path"]: row["project_name"] for row in sessions}
    whole = built.read("usage", "daily", "--json").data["totals"]["totalTokens"]
    parts = []
    for path, name in projects.items():
        by_path = built.read("usage", "daily", "--json", "--project", path).data["totals"]
        assert built.read("usage", "daily", "--json", "-p", name).data["totals"] == by_path
        parts.append(by_path["totalTokens"])
    assert sum(parts) == whole
    unknown = built.read("usage", "daily", "--project", "no-such-project")
    assert unknown.code == 2
    assert "no-such-project" in unknown.err


def test_order_and_breakdown(built: Built, truth: Truth) -> None:
    """--order desc turns the rows round; --breakdown adds a row for each model."""
    days = list(truth.by_day())
    report = built.read("usage", "daily", "--json", "--order", "desc").data
    assert [row["date"] for row in report["daily"]] == days[::-1]
    plain = built.read("usage", "daily").out.splitlines()
    detailed = built.read("usage", "daily", "--breakdown").out.splitlines()
    assert len(detailed) - len(plain) == sum(len(row["modelsUsed"]) for row in report["daily"])


def test_a_table_piped_is_plain_text(built: Built) -> None:
    """Without a terminal the table is aligned ASCII with a total, and no control codes."""
    lines = built.read("usage", "daily").out.splitlines()
    assert lines[0].split()[:2] == ["Day", "Models"]
    assert any(line.startswith("Total") for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_without_a_build_it_says_what_to_do(built: Built, tmp_path: Path) -> None:
    """With nothing published the error names the folder and the command that helps."""
    done = built.read("usage", "daily", "--json", PUBLISH_PATH=str(tmp_path / "none"))
    assert done.code == 0, "the sample keeps to its own state"
    done = built.read("usage", "daily", HOME=str(tmp_path))
    assert done.code == 1
    assert done.out == ""
    assert "annals pipeline" in done.err
