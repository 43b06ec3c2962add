"""Prices: the shipped book and the user's own, loaded into ``meta.model_prices``.

The book is dbt/seeds/model_prices.csv, which ``make prices`` writes. The table is written only if
its version changes: where the book comes from, the hash of the file, that of the user's file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Any

from annals.errors import SettingsError
from annals.limits import TooLargeError, read_file
from annals.resources import resource
from annals.settings import Settings
from loaders import warehouse
from loaders.price_overlay import add_overlay, overlay_bytes
from loaders.warehouse import Connection

BOOK_FILE = resource("dbt") / "seeds" / "model_prices.csv"
"""The shipped price book, one line per model rule, period and band; the first that matches wins."""

VERSION_FILE = BOOK_FILE.with_suffix(".version")
"""One line: the package and version that the book was written from."""

COLUMNS = (
    "provider",
    "model_rule",
    "match_owner",
    "match_all",
    "valid_from",
    "valid_to",
    "daily_from",
    "daily_to",
    "speed",
    "service_tier",
    "threshold_tokens",
    "input_usd_per_million",
    "output_usd_per_million",
    "cache_write_5m_usd_per_million",
    "cache_write_1h_usd_per_million",
    "cache_read_usd_per_million",
    "web_search_usd_per_thousand",
    "source",
)
"""The columns of the book, as dbt/seeds/_seeds.yml describes them."""

CSV_COLUMNS = (
    "model_pattern",
    "valid_from",
    "valid_to",
    "input",
    "output",
    "cache_write_5m",
    "cache_write_1h",
    "cache_read",
    "web_search",
    "source",
)
"""The columns of the user's price file; the pattern is a glob, prices are USD per million tokens,
that of web searches per thousand, days are UTC and ``valid_to`` is not included."""

PRICE_BOOK = "price_book"
"""Key of the state that holds the version of the prices in force."""

_CSV_BYTES = 16 * 1024 * 1024
"""A price file has a line for each model and day of change: some kilobytes."""

_BOOK_PRIORITY = 1_000_000
"""Rules of the book start here; the user's own prices are below."""

_CACHE_FACTORS = {
    "cache_write_5m": Decimal("1.25"),
    "cache_write_1h": Decimal(2),
    "cache_read": Decimal("0.1"),
}


def book_version(settings: Settings) -> str:
    """Return the version of the prices in force, without loading them."""
    source = VERSION_FILE.read_text(encoding="utf-8").strip()
    book = f"{source} {sha256(BOOK_FILE.read_bytes() + overlay_bytes()).hexdigest()[:12]}"
    if settings.prices_csv is None:
        return book
    return f"{book}+prices.csv {sha256(_csv_bytes(settings.prices_csv)).hexdigest()[:12]}"


def materialise_prices(connection: Connection, settings: Settings) -> str:
    """Write ``meta.model_prices`` if its version changed; return the version.

    Raises SettingsError (exit 3) naming file, line and column of a bad price of the user's.
    """
    wanted = book_version(settings)
    if warehouse.state(connection, PRICE_BOOK) == wanted:
        return wanted
    own = list(user_rows(settings.prices_csv))
    with warehouse.transaction(connection):
        connection.execute("delete from meta.model_prices")
        for rows in (own, book_rows()):
            _insert(connection, rows, wanted)
        add_overlay(connection, wanted)
        warehouse.set_state(connection, PRICE_BOOK, wanted)
    return wanted


def _insert(connection: Connection, rows: Sequence[dict[str, Any]], version: str) -> None:
    import pyarrow as pa  # noqa: PLC0415 - rarely needed

    if not rows:
        return
    connection.register("price_rows", pa.Table.from_pylist(rows))
    connection.execute(
        "insert into meta.model_prices by name select *, ? as book_version from price_rows",
        [version],
    )
    connection.unregister("price_rows")


def book_rows() -> list[dict[str, Any]]:
    """Return the rows of the shipped book, which DuckDB casts to the types of the table.

    A bare model name belongs to the provider that owns it. The rules of all providers follow in
    the order of the book, for names as gateways write them.
    """
    lines = list(csv.DictReader(BOOK_FILE.read_text(encoding="utf-8").splitlines()))
    rows: list[dict[str, Any]] = []
    for is_owned in (True, False):
        for line in lines:
            if is_owned and not line["match_owner"]:
                continue
            row: dict[str, Any] = {name: value or None for name, value in line.items()}
            owner = json.loads(row.pop("match_owner") or "[]") if is_owned else []
            row["match_all"] = [*owner, *json.loads(line["match_all"])]
            row["priority"] = _BOOK_PRIORITY + len(rows)
            rows.append(row)
    return rows


def user_rows(path: Path | None) -> Iterator[dict[str, Any]]:
    """Return the user's own prices, the first line winning.

    A cache price that is left empty follows from the input price (1.25x, 2x, 0.1x). Raises
    SettingsError naming file, line and column.
    """
    if path is None:
        return
    lines = csv.DictReader(_csv_text(path).splitlines())
    _check_header(path, lines.fieldnames or ())
    for priority, fields in enumerate(lines, start=1):
        line = _Line(path, lines.line_num, fields)
        prices = {name: line.price(name) for name in CSV_COLUMNS[3:9]}
        paid = line.required("input", prices["input"])
        if prices["web_search"] is None:
            prices["web_search"] = Decimal(10)
        pattern = line.text("model_pattern")
        yield {
            "provider": "user",
            "model_rule": pattern,
            "priority": priority,
            "match_all": [_glob(pattern)],
            "valid_from": line.day("valid_from"),
            "valid_to": line.day("valid_to"),
            "threshold_tokens": 0,
            "input_usd_per_million": paid,
            "output_usd_per_million": line.required("output", prices["output"]),
            "web_search_usd_per_thousand": prices["web_search"],
            "source": (fields.get("source") or "").strip() or path.name,
            **{
                f"{name}_usd_per_million": paid * factor if prices[name] is None else prices[name]
                for name, factor in _CACHE_FACTORS.items()
            },
        }


def escaped(literal: str) -> str:
    """Return text as a pattern that matches just it, in RE2's grammar."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", literal)


def _check_header(path: Path, header: Sequence[str]) -> None:
    missing = [name for name in CSV_COLUMNS if name not in header]
    if missing:
        raise SettingsError(
            f"{path}, line 1: the column {missing[0]} is missing",
            hint=f"The first line must be: {','.join(CSV_COLUMNS)}",
            path=path,
        )


def _glob(pattern: str) -> str:
    """Return a glob with ``*`` and ``?`` as an RE2 pattern for names in lower case."""
    parts = re.split(r"([*?])", pattern.lower())
    return "^" + "".join({"*": ".*", "?": "."}.get(part, escaped(part)) for part in parts) + "$"


class _Line:
    """One line of the user's file, which knows where it is."""

    def __init__(self, path: Path, number: int, fields: dict[str, str | None]) -> None:
        self._path = path
        self._number = number
        self._fields = fields

    def text(self, column: str) -> str:
        value = (self._fields.get(column) or "").strip()
        if not value:
            raise self._wrong(column, "is empty")
        return value

    def price(self, column: str) -> Decimal | None:
        value = (self._fields.get(column) or "").strip()
        if not value:
            return None
        try:
            price = Decimal(value)
        except InvalidOperation as error:
            raise self._wrong(column, f"{value!r} is not a number") from error
        if not price.is_finite() or price < 0 or price >= 1_000_000:  # noqa: PLR2004 - beyond any price, within the column
            raise self._wrong(column, f"{value!r} is not a price in USD")
        return price

    def required(self, column: str, price: Decimal | None) -> Decimal:
        if price is None:
            raise self._wrong(column, "is empty")
        return price

    def day(self, column: str) -> datetime | None:
        value = (self._fields.get(column) or "").strip()
        if not value:
            return None
        try:
            day = date.fromisoformat(value)
        except ValueError as error:
            raise self._wrong(column, f"{value!r} is not a day such as 2026-01-31") from error
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def _wrong(self, column: str, what: str) -> SettingsError:
        return SettingsError(
            f"{self._path}, line {self._number}, column {column}: {what}",
            hint="Correct the line, or remove it; PRICES_CSV names the file.",
            path=self._path,
            line=self._number,
            column=column,
        )


def _csv_text(path: Path) -> str:
    """Return the text of the file; raise SettingsError that names the line which is not UTF-8."""
    data = _csv_bytes(path)
    nul = data.find(b"\0")
    try:
        if nul < 0:
            return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        nul = error.start
    line = data.count(b"\n", 0, nul) + 1
    raise SettingsError(
        f"{path.name} line {line} is not text in UTF-8",
        hint="Save the file as UTF-8; PRICES_CSV names it.",
        path=path,
        line=line,
    )


def _csv_bytes(path: Path) -> bytes:
    try:
        return read_file(path, limit=_CSV_BYTES)
    except (OSError, TooLargeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"the price file {path} cannot be read: {why}",
            hint="Correct PRICES_CSV, or unset it.",
            path=path,
        ) from error
