"""Prices and factors of our own beside the shipped book, each with a public source.

``price_overlay.csv`` has prices that the book lacks, or has without their dates; they win over the
book. ``price_factors.csv`` says what the modifiers of a request multiply the price of tokens by.
"""

from __future__ import annotations

from annals.resources import resource
from loaders.warehouse import Connection

_SEEDS = resource("dbt") / "seeds"
OVERLAY_FILE = _SEEDS / "price_overlay.csv"
"""One line per model rule, period and band."""

FACTORS_FILE = _SEEDS / "price_factors.csv"
"""One line per models, modifier, value and period."""

OVERLAY_PRIORITY = 500_000
"""Rules of the overlay start here: after the user's own, before those of the book."""

_TEXT = "read_csv(?, header = true, all_varchar = true, quote = '\"', delim = ',')"


def overlay_bytes() -> bytes:
    """Return the content of both files, which is a part of the version of the prices."""
    return OVERLAY_FILE.read_bytes() + FACTORS_FILE.read_bytes()


def add_overlay(connection: Connection, version: str) -> None:
    """Add the overlay to ``meta.model_prices``, and write ``meta.price_factors`` again."""
    connection.execute(
        "insert into meta.model_prices by name select * exclude (match), [match] as match_all,"  # noqa: S608 - a constant
        f" {OVERLAY_PRIORITY} + row_number() over () as priority, ? as book_version from {_TEXT}",
        [version, str(OVERLAY_FILE)],
    )
    connection.execute(
        "create or replace table meta.price_factors as select model_pattern, modifier, value,"  # noqa: S608 - a constant
        " valid_from::timestamptz as valid_from, valid_to::timestamptz as valid_to,"
        f" factor::decimal(9, 6) as factor, source from {_TEXT}",
        [str(FACTORS_FILE)],
    )
