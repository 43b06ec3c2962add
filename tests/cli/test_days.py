"""Days as a person writes them, and windows of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.cli.days import Period, days_between, parse_period
from annals.errors import UsageError
from tests.conftest import Built, Run

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-11-03", date(2026, 11, 3), date(2026, 11, 3)),
        ("20261103", date(2026, 11, 3), date(2026, 11, 3)),
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("today", TODAY, TODAY),
        ("Yesterday", date(2026, 2, 28), date(2026, 2, 28)),
        ("0d", TODAY, TODAY),
        ("7d", date(2026, 2, 22), date(2026, 2, 22)),
        ("99999d", TODAY - timedelta(days=99999), TODAY - timedelta(days=99999)),
    ],
)
def test_a_day_is_understood(text: str, first: date, last: date) -> None:
    """As the first day of a window and as its last one."""
    period = parse_period(text)
    assert period.first_day(TODAY) == first
    assert period.last_day(TODAY) == last


@pytest.mark.parametrize(
    "text",
    [
        "d",
        "-1d",
        "7 d",
        "123456d",
        "2026",
        "2026-13",
        "2026-02-30",
        "0000-01",
        "\u0667d",
        "tomorrow",
    ],
)
def test_what_is_not_a_day_is_a_usage_error(text: str, in_process: Run) -> None:
    """The message says which forms there are."""
    done = in_process("usage", "daily", f"--since={text}")
    assert done.code == 2
    assert "is not a day; write 2026-01-31" in done.err


def test_a_reversed_window_is_refused() -> None:
    """Both days are named; a window of one day is not reversed."""
    first, last = Period(date(2026, 11, 5), date(2026, 11, 5)), Period(days_ago=99999)
    with pytest.raises(UsageError, match="--since 2026-11-05 is after --until") as refused:
        days_between(first, last)
    assert refused.value.exit_code == 2
    assert days_between(first, first) == (first.first, first.last)


@pytest.mark.parametrize(
    "command", ["usage daily", "usage session", "usage models", "sessions list"]
)
def test_every_report_refuses_a_reversed_window(command: str, built: Built) -> None:
    """A report without rows would look like an answer."""
    done = built.read(*command.split(), "--since", "today", "--until", "yesterday")
    assert done.code == 2
    assert "is after --until" in done.err


def test_today_is_that_of_the_zone(built: Built) -> None:
    """At each moment two zones that are 26 hours apart have different days."""
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        done = built.read("usage", "daily", "--json", "--since", "1d", "-z", zone)
        yesterday = datetime.now(UTC).astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
        assert done.data["since"] in {str(yesterday), str(yesterday - timedelta(days=1))}


def test_a_month_is_a_window(built: Built) -> None:
    """`--since 2026-08 --until 2026-08` has the days of August alone."""
    months = {row["date"][:7] for row in built.read("usage", "daily", "--json").data["daily"]}
    month = max(months - {"undated"})
    done = built.read("usage", "daily", "--json", "--since", month, "--until", month)
    assert {row["date"][:7] for row in done.data["daily"]} == {month}
    assert len(months) > 1
