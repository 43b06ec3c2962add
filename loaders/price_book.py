"""The price book of the ``genai-prices`` package as lines of dbt/seeds/model_prices.csv.

``make prices`` writes the file, so a change of prices is a diff to review; nothing else needs the
package. A line is one (rule of a model, period, band); of the lines that match, the first wins.
``match_all`` holds RE2 patterns as JSON, all of which must match the model's name in lower case: a
pattern that ignores case takes three times as long. ``match_owner`` holds those of a bare name that
the package itself would ask this provider about; names as gateways write them need not match them.

Where the book is silent about the cache of a Claude model, five-minute writes cost 1.25x, one-hour
writes 2x and reads 0.1x of its input. For other vendors' models cached tokens then cost what input
does, as the package itself calculates. A web search the book is silent about costs 0.01 USD.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from itertools import product
from typing import TYPE_CHECKING, Any

from annals.errors import WarehouseError
from annals.files import replace_text
from loaders.prices import BOOK_FILE, COLUMNS, VERSION_FILE, escaped

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider

_PACKAGE = "genai-prices"
_END_OF_DAY = "24:00:00"
_FIELDS = {
    "input_mtok": "input_usd_per_million",
    "output_mtok": "output_usd_per_million",
    "cache_write_mtok": "cache_write_5m_usd_per_million",
    "cache_write_1h_mtok": "cache_write_1h_usd_per_million",
    "cache_read_mtok": "cache_read_usd_per_million",
    "web_searches_kcount": "web_search_usd_per_thousand",
}
_CLAUDE_CACHE = {
    "cache_write_5m_usd_per_million": Decimal("1.25"),
    "cache_write_1h_usd_per_million": Decimal(2),
    "cache_read_usd_per_million": Decimal("0.1"),
}
# RE2 knows no lookahead; these say the same without one.
_WITHOUT_LOOKAHEAD = {
    r"^(?!.*-[tT][tT][sS](?:$|-))": (
        r"^[^-]*(?:-(?:[^-t][^-]*|t[^-t][^-]*|tt[^-s][^-]*|tts[^-]+|tt|t)?)*$"
    ),
    r"^(?![^/]+/)(?:labs-)?(?:(?:mi|code|dev|magi|mini)stral|mixtral|pixtral|voxtral"
    r"|open-(?:mistral|mixtral))": (
        r"^(?:labs-)?(?:(?:mi|code|dev|magi|mini)stral|mixtral|pixtral|voxtral"
        r"|open-(?:mistral|mixtral))[^/]*$"
    ),
}


def package_version() -> str:
    """Return the name and the version of the installed package."""
    return f"{_PACKAGE} {version(_PACKAGE)}"


def book_csv() -> str:
    """Return the whole book as the text of the file.

    Raises WarehouseError for a pattern that cannot be said in RE2.
    """
    from genai_prices.data import providers  # noqa: PLC0415 - only where the file is written

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for provider in providers:
        for model in provider.models:
            writer.writerows(_model_lines(provider, model))
    return text.getvalue()


def _model_lines(provider: Provider, model: ModelInfo) -> Iterator[dict[str, Any]]:
    standard = _periods(model)
    names = {"match_all": json.dumps(_patterns(model.match))}
    if provider.model_match is not None:
        names["match_owner"] = json.dumps(_patterns(provider.model_match))
    for period in [*_special(model, standard), *standard]:
        times = {name: getattr(period, name) for name in _Period.__slots__ if name != "prices"}
        for threshold in _thresholds(period.prices):
            prices = _band(period.prices, threshold, is_claude="claude" in model.id)
            if prices["input_usd_per_million"] is None:
                continue  # priced by the hour, page or image: nothing that a token count can buy
            yield {
                "provider": provider.id,
                "model_rule": model.id,
                **names,
                **times,
                "threshold_tokens": threshold,
                **{name: _plain(price) for name, price in prices.items() if price is not None},
                "source": _PACKAGE,
            }


def _plain(price: Decimal) -> str:
    return f"{price.normalize():f}"


@dataclass(frozen=True, slots=True)
class _Period:
    prices: ModelPrice
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    daily_from: str | None = None
    daily_to: str | None = None
    speed: str | None = None
    service_tier: str | None = None


def _special(model: ModelInfo, standard: Sequence[_Period]) -> Iterator[_Period]:
    """Return the prices of fast answers, batches and other tiers, the winners first.

    A variant of the package replaces some of the prices that are in force; conditions that no
    transcript records are left out.
    """
    for variant in model.price_variants or ():
        condition = _recorded(variant.when)
        if condition is None:
            continue
        start_date = getattr(variant.constraint, "start_date", None)
        starts = _midnight(start_date) if start_date else None
        for period in standard:
            if starts and period.valid_to and period.valid_to <= starts:
                continue
            known = [moment for moment in (starts, period.valid_from) if moment]
            yield replace(
                period,
                prices=_merged(period.prices, variant.prices),
                valid_from=max(known, default=None),
                speed=condition.get("speed"),
                service_tier=condition.get("service_tier"),
            )


def _recorded(when: Mapping[str, str]) -> dict[str, str] | None:
    """Return a variant's condition in the transcripts' words, None where these never tell it."""
    if when == {"processing": "batch"}:
        return {"service_tier": "batch"}
    return dict(when) if when.keys() <= {"speed", "service_tier"} else None


def _merged(prices: ModelPrice, overrides: ModelPrice) -> ModelPrice:
    given = {name: price for name, price in vars(overrides).items() if price is not None}
    return type(prices)(**(vars(prices) | given))


def _periods(model: ModelInfo) -> list[_Period]:
    """Return when which prices apply, the winners first.

    The package tries conditional prices from the last to the first and falls back to the first, so
    a price ends where a later listed one starts.
    """
    if not isinstance(model.prices, list):
        return [_Period(model.prices)]
    periods: list[_Period] = []
    ends: datetime | None = None
    for number in range(len(model.prices) - 1, -1, -1):
        conditional = model.prices[number]
        start_date = getattr(conditional.constraint, "start_date", None)
        starts = _midnight(start_date) if number and start_date else None
        if starts is not None and ends is not None and starts >= ends:
            continue
        windows = _windows(conditional) if number else [(None, None)]
        periods.extend(
            _Period(conditional.prices, starts, ends, begin, end) for begin, end in windows
        )
        if windows != [(None, None)]:
            continue
        if starts is None:
            break
        ends = starts
    return periods


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _windows(conditional: ConditionalPrice) -> list[tuple[str | None, str | None]]:
    """Return the daily windows in UTC; one that spans midnight becomes two."""
    start = getattr(conditional.constraint, "start_time", None)
    end = getattr(conditional.constraint, "end_time", None)
    if start is None or end is None:
        return [(None, None)]
    begin, finish = _utc(start), _utc(end)
    if finish < begin:
        return [(begin, _END_OF_DAY), ("00:00:00", finish)]
    return [(begin, finish)]


def _utc(moment: time) -> str:
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 1), moment).astimezone(UTC).time()
    return moment.isoformat()


def _thresholds(prices: ModelPrice) -> list[int]:
    starts = {tier.start for value in vars(prices).values() for tier in getattr(value, "tiers", ())}
    return sorted(starts | {0}, reverse=True)


def _band(prices: ModelPrice, threshold: int, *, is_claude: bool) -> dict[str, Decimal | None]:
    """Return the prices of a request whose tokens are just above ``threshold``."""
    band = {
        column: _at(getattr(prices, field), threshold, is_base=threshold == 0)
        for field, column in _FIELDS.items()
    }
    paid = band["input_usd_per_million"]
    if paid is None:
        return band
    silent = {
        column: paid * factor if is_claude else paid for column, factor in _CLAUDE_CACHE.items()
    }
    silent |= {"output_usd_per_million": Decimal(0), "web_search_usd_per_thousand": Decimal(10)}
    return band | {column: price for column, price in silent.items() if band[column] is None}


def _at(value: Any, threshold: int, *, is_base: bool) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if tier.start <= threshold and not is_base:
            price = tier.price
    return price


def _patterns(clause: Any) -> list[str]:
    """Return patterns that all have to match where the clause of the package matches."""
    if (either := getattr(clause, "or_", None)) is not None:
        choices = product(*(_patterns(part) for part in either))
        return ["|".join(f"(?:{pattern})" for pattern in choice) for choice in choices]
    if (every := getattr(clause, "and_", None)) is not None:
        return [pattern for part in every for pattern in _patterns(part)]
    return [_pattern(clause)]


def _pattern(clause: Any) -> str:
    """Return one clause of the package as an RE2 pattern for names in lower case."""
    for name, shape in (
        ("equals", "^{}$"),
        ("starts_with", "^{}"),
        ("ends_with", "{}$"),
        ("contains", "{}"),
    ):
        if (literal := getattr(clause, name, None)) is not None:
            return shape.format(escaped(literal.lower()))
    pattern = str(clause.regex)
    pattern = _WITHOUT_LOOKAHEAD.get(pattern, pattern)
    if re.search(r"\(\?[=!<]|\\[1-9]", pattern):
        raise WarehouseError(
            f"the price book's pattern {pattern!r} cannot be matched by DuckDB",
            hint="Install the version of genai-prices that pyproject.toml names.",
        )
    return pattern


if __name__ == "__main__":
    replace_text(BOOK_FILE, book_csv())
    replace_text(VERSION_FILE, f"{package_version()}\n")
