"""Days as a person writes them: ``2026-11-03``, ``2026-11``, ``today``, ``yesterday``, ``7d``."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from annals.errors import UsageError

FORMS = "2026-01-31, 20260131, 2026-01 (the month), today, yesterday or 7d (days ago)"

_WORDS = {"today": 0, "yesterday": 1}
_DAYS_AGO = re.compile(r"([0-9]{1,5})d")
_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """A day, or a month; ``days_ago`` counts back from a today that is not known yet."""

    first: date | None = None
    last: date | None = None
    days_ago: int = 0

    def first_day(self, today: date) -> date:
        """Return the first day."""
        return self.first or today - timedelta(days=self.days_ago)

    def last_day(self, today: date) -> date:
        """Return the last day."""
        return self.last or today - timedelta(days=self.days_ago)


def parse_period(text: str) -> Period:
    """Return what ``text`` means; raises ValueError if it is not one of ``FORMS``."""
    word = text.strip().lower()
    if word in _WORDS:
        return Period(days_ago=_WORDS[word])
    if match := _DAYS_AGO.fullmatch(word):
        return Period(days_ago=int(match[1]))
    if match := _DAY.fullmatch(word):
        day = date(int(match[1]), int(match[2]), int(match[3]))
        return Period(day, day)
    if match := _MONTH.fullmatch(word):
        first = date(int(match[1]), int(match[2]), 1)
        return Period(first, first.replace(day=calendar.monthrange(first.year, first.month)[1]))
    raise ValueError(text)


def current_instant() -> datetime:
    """Return the instant that the clock of this machine shows."""
    return datetime.now(UTC)


def current_day(timezone: str) -> date:
    """Return which day it is in a zone."""
    return current_instant().astimezone(ZoneInfo(timezone)).date()


def days_between(
    since: Period | None, until: Period | None, *, timezone: str = "UTC"
) -> tuple[date | None, date | None]:
    """Return the first and the last day, both included; None leaves that side open.

    ``timezone`` is the IANA zone that decides which day is today.
    Raises UsageError (exit 2) if the first day is after the last one.
    """
    today = current_day(timezone)
    first = since.first_day(today) if since else None
    last = until.last_day(today) if until else None
    if first and last and first > last:
        raise UsageError(
            f"--since {first} is after --until {last}", hint="Give the earlier day to --since."
        )
    return first, last
