"""The reports by week, month, project, branch, host, tool and block, and their forms."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from examples.generator import Totals, Truth, write_sample
from tests.conftest import Built, start

_TOKENS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens", "totalTokens")
_KEY = {
    "daily": "daily",
    "weekly": "weekly",
    "monthly": "monthly",
    "session": "sessions",
    "models": "models",
    "projects": "projects",
    "branches": "branches",
    "hosts": "hosts",
    "tools": "tools",
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Return what the bundled sample really holds."""
    return write_sample(tmp_path_factory.mktemp("sample"))


def _total(sums: Totals) -> int:
    return sums.input + sums.output + sums.cache_write + sums.cache_read


def _entry(number: int, moment: datetime | None, **more: Any) -> str:
    time = moment and moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return json.dumps(
        {
            "type": "assistant",
            "sessionId": "5e551011-0000-4000-8000-000000000001",
            "uuid": f"00000000-0000-4000-8000-{number:012d}",
            "requestId": f"req_{number}",
            "cwd": "/home/ada/tides",
            "gitBranch": "main",
            **({"timestamp": time} if time else {}),
            "message": {
                "id": f"msg_{number:022d}",
                "role": "assistant",
                "model": "claude-opus-4-6",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": "done"}],
                "usage": {"input_tokens": 100, "output_tokens": 50},
            },
            **more,
        }
    )


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return a home with blocks known by hand: two old ones, an active one, and no time at all."""
    home = tmp_path_factory.mktemp("blocks")
    folder = home / ".claude" / "projects" / "-home-ada-tides"
    folder.mkdir(parents=True)
    old = datetime(2026, 1, 10, 4, tzinfo=UTC)
    now = datetime.now(UTC)
    moments = [
        old + timedelta(minutes=10),
        old + timedelta(hours=2),
        old + timedelta(hours=5),  # the very end still belongs to the block
        old + timedelta(hours=5, milliseconds=1),
        now - timedelta(minutes=50),
        now - timedelta(minutes=1),
        None,
    ]
    lines = [_entry(number, moment) for number, moment in enumerate(moments)]
    (folder / "5e551011-0000-4000-8000-000000000001.jsonl").write_text("\n".join(lines) + "\n")
    done = start("pipeline", "--json", home=home, cwd=home)
    assert done.code == 0, done.err
    return Built(home, done)


@pytest.mark.parametrize("report", _KEY)
def test_every_report_has_the_same_totals(built: Built, truth: Truth, report: str) -> None:
    """Whatever usage is grouped by, its rows add up to what was meant, in tokens and in money."""
    data = built.read("usage", report, "--json").data
    rows = data[_KEY[report]]
    assert sum(row["totalTokens"] for row in rows) == _total(truth.usage())
    assert sum(row["quality"]["responses"] for row in rows) == len(truth.responses)
    nanos = sum(round(1e9 * (row["totalCost"] or 0)) for row in rows)
    assert nanos == round(1e9 * data["totals"]["totalCost"])


@pytest.mark.parametrize(("week_start", "isoweekday"), [("sunday", 7), ("wednesday", 3)])
def test_weeks_begin_on_the_day_asked_for(
    built: Built, truth: Truth, week_start: str, isoweekday: int
) -> None:
    """A week has the days from that weekday on, Sunday if none is given."""
    meant: dict[str, int] = defaultdict(int)
    for name, sums in truth.by_day().items():
        day = date.fromisoformat(name)
        meant[str(day - timedelta(days=(day.isoweekday() - isoweekday) % 7))] += _total(sums)
    option = () if week_start == "sunday" else ("--start-of-week", week_start)
    weeks = built.read("usage", "weekly", "--json", *option).data["weekly"]
    assert {row["week"]: row["totalTokens"] for row in weeks} == meant


def test_months_are_named_as_ccusage_names_them(built: Built, truth: Truth) -> None:
    """A month is its first seven characters, and has the tokens of its days."""
    meant: dict[str, int] = defaultdict(int)
    for name, sums in truth.by_day().items():
        meant[name[:7]] += _total(sums)
    months = built.read("usage", "monthly", "--json").data["monthly"]
    assert {row["month"]: row["totalTokens"] for row in months} == meant


def test_two_dimensions_split_a_report(built: Built) -> None:
    """--by adds a dimension or names two; the parts of a day add up to the day."""
    days = {row["date"]: row for row in built.read("usage", "daily", "--json").data["daily"]}
    for words in (("daily", "--by", "project"), ("hosts", "--by", "day,project")):
        rows = built.read("usage", *words, "--json").data["usage"]
        parts: dict[str, int] = defaultdict(int)
        for row in rows:
            assert row["projectPath"]
            parts[row["date"]] += row["totalTokens"]
        assert parts == {day: row["totalTokens"] for day, row in days.items()}


def test_filters_leave_out_the_rest(built: Built) -> None:
    """--model takes a part of a name, --host a machine; what they leave is in no total."""
    models = built.read("usage", "models", "--json").data["models"]
    opus = sum(row["totalTokens"] for row in models if "opus" in row["modelName"])
    data = built.read("usage", "session", "--json", "--model", "OPUS").data
    assert data["totals"]["totalTokens"] == opus > 0
    (host,) = built.read("usage", "hosts", "--json").data["hosts"]
    whole = built.read("usage", "daily", "--json", "--host", host["host"]).data
    assert whole["totals"]["totalTokens"] == host["totalTokens"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("daily", "--model", "abacus"), "no model is called 'abacus'"),
        (("daily", "--host", "abacus"), "no host is called 'abacus'"),
        (("daily", "--by", "abacus"), "'abacus' is not a dimension"),
        (("daily", "--by", "day"), "--by day is not possible"),
        (("daily", "--last", "3", "--since", "7d"), "exclude each other"),
        (("daily", "--json", "--csv"), "exclude each other"),
        (("blocks", "--token-limit", "many"), "--token-limit many is not a number"),
    ],
)
def test_what_is_not_there_is_named(built: Built, words: tuple[str, ...], says: str) -> None:
    """A wrong name or option is exit code 2, with what is possible, and prints no data."""
    done = built.read("usage", *words)
    assert done.code == 2
    assert done.out == ""
    assert says in done.err
    assert "hint" in done.err


@pytest.mark.parametrize("report", [*_KEY, "blocks"])
def test_a_report_over_nothing_is_an_empty_table(built: Built, report: str) -> None:
    """It prints the header and what to do, and exits with 0."""
    done = built.read("usage", report, "--since", "20990101")
    assert done.code == 0
    assert "Cost" in done.out.splitlines()[0]
    assert "-> Choose days from 2026-08-05 to 2026-11-01" in done.out
    lines = built.read("usage", report, "--since", "20990101", "--csv").out.splitlines()
    assert len(lines) == 1
    assert "totalTokens" in lines[0].split(",")


def test_rows_are_sorted_by_what_is_asked_for(built: Built) -> None:
    """A measure sorts the largest first, a name the least first; --order turns both round."""
    rows = built.read("usage", "daily", "--json", "--sort", "output").data["daily"]
    outputs = [row["outputTokens"] for row in rows]
    assert outputs == sorted(outputs, reverse=True)
    words = ("usage", "models", "--json", "--sort", "name")
    names = [row["modelName"] for row in built.read(*words).data["models"]]
    assert names == sorted(names)
    turned = [row["modelName"] for row in built.read(*words, "--order", "desc").data["models"]]
    assert turned == names[::-1]


def test_last_counts_back_from_today(blocks: Built) -> None:
    """--last 1 is today, this week or this month, and nothing older."""
    today = datetime.now(UTC).date()
    for report, key in (("daily", "daily"), ("weekly", "weekly"), ("monthly", "monthly")):
        data = blocks.read("usage", report, "--last", "1", "--json").data
        assert data["until"] == str(today)
        assert len(data[key]) == 1
    assert blocks.read("usage", "daily", "--last", "99999", "--json").code == 0


def test_csv_and_markdown_have_the_figures(built: Built) -> None:
    """CSV has whole numbers under ccusage's keys, Markdown the table as it is printed."""
    data = built.read("usage", "models", "--json").data["models"]
    lines = list(csv.DictReader(io.StringIO(built.read("usage", "models", "--csv").out)))
    assert [{name: int(line[name]) for name in _TOKENS} for line in lines] == [
        {name: row[name] for name in _TOKENS} for row in data
    ]
    text = built.read("usage", "models", "--md", "--compact").out.splitlines()
    assert text[:2] == ["| Model | Tokens | Cost |", "| --- | ---: | ---: |"]
    assert text[2].startswith(f"| {data[0]['modelName']} | {data[0]['totalTokens']:,} | $")
    parts = built.read("usage", "monthly", "--csv", "--breakdown").out
    whole = sum(int(line["totalTokens"]) for line in csv.DictReader(io.StringIO(parts)))
    assert whole == sum(row["totalTokens"] for row in data)


def test_the_other_shape_has_the_keys_of_ccusage(built: Built) -> None:
    """--json-shape all names rows by period and says which agents they are of."""
    days = built.read("usage", "daily", "--json", "--json-shape", "all").data["daily"]
    assert days[0]["period"] == "2026-08-05"
    assert days[0]["agent"] == "all"
    assert days[0]["metadata"] == {"agents": ["claude"]}
    assert "date" not in days[0]
    (row, *_) = built.read("usage", "session", "--json", "--json-shape", "all").data["session"]
    assert set(row["metadata"]) == {"lastActivity"}
    assert row["agent"] == "claude"


def test_tools_share_the_response_that_calls_them(built: Built) -> None:
    """Each call is counted once under its tool, and a response without one under none."""
    rows = {row["toolName"]: row for row in built.read("usage", "tools", "--json").data["tools"]}
    assert rows["none"]["calls"] == 0
    assert rows["none"]["totalTokens"] > 0
    calls = sum(row["calls"] for row in rows.values())
    listed = built.read("sessions", "list", "--json").data["sessions"]
    assert calls == sum(row["tool_calls"] for row in listed) > 0


def test_blocks_start_at_the_hour_and_end_after_five(blocks: Built) -> None:
    """The second block begins after the end of the first; silence between blocks is a gap."""
    rows = blocks.read("usage", "blocks", "--json").data["blocks"]
    found = [(row["id"], row["entries"]) for row in rows if not row["isActive"]]
    assert found[0] == ("2026-01-10T04:00:00.000Z", 3)
    assert found[1] == ("2026-01-10T09:00:00.000Z", 1)
    assert found[2] == ("gap-2026-01-10T14:00:00.001Z", 0)
    assert found[-1] == ("undated", 1)
    assert rows[0]["actualEndTime"] == rows[0]["endTime"] == "2026-01-10T09:00:00.000Z"
    assert rows[0]["tokenCounts"]["inputTokens"] == 300
    assert sum(row["entries"] for row in rows) == 7


def test_an_active_block_says_what_it_comes_to(blocks: Built) -> None:
    """Its rate is from its first response to its last, its projection that rate to the end."""
    data = blocks.read("usage", "blocks", "--active", "--token-limit", "100", "--json").data
    (block,) = data["blocks"][-1:]
    assert block["isActive"]
    if block["entries"] == 2:  # the hour did not turn five times between the two
        assert block["burnRate"]["tokensPerMinute"] == pytest.approx(300 / 49)
    assert block["tokenLimitStatus"]["limit"] == 100
    assert block["tokenLimitStatus"]["status"] == "exceeds"
    text = blocks.read("usage", "blocks", "--active", "--token-limit", "max").out
    assert "active, " in text
    assert "projected: " in text
    assert "%" in text
    recent = blocks.read("usage", "blocks", "--recent", "--json").data["blocks"]
    assert all(row["startTime"] > "2026-01-11" for row in recent)


def test_responses_without_a_time_stay_in_every_report(blocks: Built) -> None:
    """They are a row of their own where days are asked for, and in their session elsewhere."""
    for report, key in _KEY.items():
        data = blocks.read("usage", report, "--json").data
        assert data["totals"]["totalTokens"] == 7 * 150, report
        assert sum(row["totalTokens"] for row in data[key]) == 7 * 150, report
    assert blocks.read("usage", "daily", "--json").data["daily"][0]["date"] == "undated"
    assert "undated" in blocks.read("usage", "weekly").out
