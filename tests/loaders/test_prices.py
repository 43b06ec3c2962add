"""Prices: the table says what the package itself calculates, overlaid by the user's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from annals.errors import SettingsError
from annals.settings import Settings
from loaders import price_book, prices, warehouse
from loaders.warehouse import Connection

HEADER = ",".join(prices.CSV_COLUMNS)
INSTANTS = [
    datetime(2024, 5, 1, 3, 30, tzinfo=UTC),
    datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 13, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 14, 16, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 7, 15, tzinfo=UTC),
]
# input, output, writes for five minutes, writes for an hour, reads, searches
MIXES = [
    (1_000, 500, 0, 0, 0, 0),
    (100, 2_000, 30_000, 40_000, 29_900, 3),
    (1, 10, 100_000, 50_000, 50_000, 0),
    (200_001, 7, 0, 0, 0, 1),
]
CONTEXTS = [{}, {"speed": "fast"}, {"processing": "batch"}]
PRICED = """
with matched as (
    select distinct names.name, prices.*
    from (select distinct name from cases) as names
    inner join meta.model_prices as prices
        on list_bool_and(
            list_transform(match_all, lambda rule: regexp_matches(lower(names.name), rule))
        )
)

select
    cases.id,
    cases.input * matched.input_usd_per_million / 1e6::decimal(8, 0)
    + cases.output * matched.output_usd_per_million / 1e6::decimal(8, 0)
    + cases.write_5m * matched.cache_write_5m_usd_per_million / 1e6::decimal(8, 0)
    + cases.write_1h * matched.cache_write_1h_usd_per_million / 1e6::decimal(8, 0)
    + cases.read * matched.cache_read_usd_per_million / 1e6::decimal(8, 0)
    + cases.searches * matched.web_search_usd_per_thousand / 1e3::decimal(8, 0) as cost
from cases
inner join matched
    on cases.name = matched.name
    and (valid_from is null or valid_from <= cases.instant)
    and (valid_to is null or cases.instant < valid_to)
    and (daily_from is null or (
        timezone('UTC', cases.instant)::time >= daily_from
        and timezone('UTC', cases.instant)::time < daily_to
    ))
    and (matched.speed is null or matched.speed = cases.speed)
    and (matched.service_tier is null or matched.service_tier = cases.service_tier)
    and (threshold_tokens = 0 or input + write_5m + write_1h + read > threshold_tokens)
qualify row_number() over (partition by cases.id order by priority, threshold_tokens desc) = 1
"""


OF_OVERLAY = "priority >= 500_000 and priority < 1_000_000"


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """Return a warehouse with the prices of the shipped book alone."""
    with warehouse.connect(settings) as opened:
        prices.materialise_prices(opened, settings)
        opened.execute(f"delete from meta.model_prices where {OF_OVERLAY}")
        yield opened


def test_overlay_and_factors_name_their_sources(settings: Settings) -> None:
    """Each row of ours is there, comes before the book's, and names a public page."""
    with warehouse.connect(settings) as opened:
        prices.materialise_prices(opened, settings)
        query = "select count(*), count(*) filter (where source like 'https://%') from meta."
        for rows in (f"model_prices where {OF_OVERLAY}", "price_factors"):
            there, sourced = opened.execute(query + rows).fetchall()[0]
            assert there == sourced > 0, rows


def _literals(clause: Any) -> Iterator[str]:
    for part in getattr(clause, "or_", None) or getattr(clause, "and_", None) or ():
        yield from _literals(part)
    for kind in ("equals", "starts_with"):
        if literal := getattr(clause, kind, None):
            yield literal


def _names(*, claude: bool) -> list[str]:
    """Return names of models as the package knows them, of providers that claim them."""
    from genai_prices.data_snapshot import get_snapshot

    found = set()
    for provider in get_snapshot().providers:
        if provider.model_match is None or (provider.id == "anthropic") != claude:
            continue
        for model in provider.models:
            names = {model.id, *_literals(model.match)}
            found.update(name for name in names if provider.model_match.is_match(name))
    return sorted(found)


def _expected(name: str, instant: datetime, mix: tuple[int, ...], context: dict[str, str]) -> Any:
    """Return the package's own price; None where it has none or is silent about a part of it."""
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import Usage

    try:
        _, model = get_snapshot().find_provider_model(name, None, None, None)
    except LookupError:
        return None
    tokens_in, output, write_5m, write_1h, read, searches = mix
    known = vars(model.get_prices(instant, context))
    asked = {
        "input_mtok": True,
        "cache_write_mtok": write_5m > 0,
        "cache_write_1h_mtok": write_1h > 0,
        "cache_read_mtok": read > 0,
        "web_searches_kcount": searches > 0,
    }
    if any(wanted and known.get(key) is None for key, wanted in asked.items()):
        return None
    usage = Usage(
        input_tokens=tokens_in + write_5m + write_1h + read,
        output_tokens=output,
        cache_write_tokens=write_5m + write_1h,
        cache_write_1h_tokens=write_1h,
        cache_read_tokens=read,
        web_searches=searches,
    )
    return get_snapshot().calc(usage, name, None, None, instant, context).total_price


def _compare(
    connection: Connection,
    names: list[str],
    mixes: list[tuple[int, ...]],
    contexts: list[dict[str, str]],
) -> int:
    wanted: dict[int, Decimal] = {}
    cases = []
    for number, (name, instant, mix, context) in enumerate(
        itertools.product(names, INSTANTS, mixes, contexts)
    ):
        cost = _expected(name, instant, mix, context)
        if cost is None:
            continue
        wanted[number] = cost
        tier = "batch" if "processing" in context else "standard"
        cases.append((number, name, instant, *mix, context.get("speed", "standard"), tier))
    columns = "id name instant input output write_5m write_1h read searches speed service_tier"
    connection.register(
        "cases", pa.table(dict(zip(columns.split(), zip(*cases, strict=True), strict=True)))
    )
    found = dict(connection.execute(PRICED).fetchall())
    wrong = {
        (cases_by_id[number], found.get(number), cost)
        for cases_by_id in [{case[0]: case[1:] for case in cases}]
        for number, cost in wanted.items()
        if found.get(number) is None or abs(Decimal(found[number]) - cost) > Decimal("1e-9")
    }
    assert not wrong, sorted(wrong, key=str)[:5]
    return len(wanted)


def test_claude_prices_equal_the_package(connection: Connection) -> None:
    """Every Claude model costs what the package calculates, at any time, tier, speed and mix."""
    assert _compare(connection, _names(claude=True), MIXES, CONTEXTS) > 3_000


def test_prices_of_other_vendors_equal_the_package(connection: Connection) -> None:
    """Input and output of the other vendors' models cost what the package calculates."""
    names = _names(claude=False)[::5]
    assert _compare(connection, names, [(200_001, 7, 0, 0, 0, 0)], [{}]) > 500


@pytest.mark.parametrize("name", ["claude-opus-12", "claude-", "some-model", "<synthetic>", ""])
def test_unknown_models_have_no_price(connection: Connection, name: str) -> None:
    """A model that the book does not know matches no rule, of whatever provider."""
    rows = connection.execute(
        "select provider, model_rule from meta.model_prices where"
        " list_bool_and(list_transform(match_all, lambda rule: regexp_matches(lower(?), rule)))",
        [name],
    ).fetchall()
    assert rows == []


def test_silent_cache_prices_follow_the_input(connection: Connection) -> None:
    """Where the book is silent about a Claude model's cache, the usual factors hold."""
    row = connection.execute(
        "select distinct input_usd_per_million, cache_write_5m_usd_per_million,"
        " cache_write_1h_usd_per_million, cache_read_usd_per_million from meta.model_prices"
        " where provider = 'anthropic' and model_rule = 'claude-2'"
    ).fetchall()
    assert row == [(Decimal(8), Decimal(10), Decimal(16), Decimal("0.8"))]


def test_every_pattern_is_one_that_duckdb_knows(connection: Connection) -> None:
    """All patterns of the book compile, those with a lookahead in other words."""
    row = connection.execute(
        "select count(*) filter (regexp_matches('x', pattern) is null), count(*)"
        " from (select unnest(match_all) as pattern from meta.model_prices)"
    ).fetchone()
    assert row is not None
    assert row[0] == 0
    assert row[1] > 3_000


@pytest.mark.parametrize(
    ("name", "is_match"),
    [
        ("gemini-x", True),
        ("gemini-x-tts", False),
        ("gemini-tts-x", False),
        ("gemini-ttsx", True),
        ("gemini-tt", True),
        ("gemini-t-s", True),
        ("gemini--", True),
    ],
)
def test_patterns_without_lookahead_say_the_same(name: str, *, is_match: bool) -> None:
    """The pattern that stands for a lookahead matches the same names."""
    import re

    for original, plain in price_book._WITHOUT_LOOKAHEAD.items():
        if "tT" in original:
            assert bool(re.search(original, name)) is is_match
            assert bool(re.search(plain, name)) is is_match


def test_the_shipped_book_is_the_packages() -> None:
    """The file is what ``make prices`` would write for the locked package."""
    written = prices.BOOK_FILE.read_text(encoding="utf-8")
    assert written == price_book.book_csv(), "run `make prices`"
    assert prices.VERSION_FILE.read_text().strip() == price_book.package_version()


def test_the_seed_has_the_columns_and_types_of_the_table(connection: Connection) -> None:
    """The YAML of the seed names each column of the file, with the type that the table has."""
    (seed,) = yaml.safe_load((prices.BOOK_FILE.parent / "_seeds.yml").read_text())["seeds"]
    header = tuple(prices.BOOK_FILE.read_text(encoding="utf-8").partition("\n")[0].split(","))
    assert header == prices.COLUMNS == tuple(column["name"] for column in seed["columns"])
    types = dict(
        connection.execute(
            "select column_name, lower(column_type) from (describe meta.model_prices)"
        ).fetchall()
    )
    declared = dict(seed["config"]["column_types"])
    assert declared.pop("match_owner") == declared.pop("match_all") == "varchar"  # JSON
    aliases = {"timestamptz": "timestamp with time zone", "decimal(18, 6)": "decimal(18,6)"}
    assert {name: aliases.get(kind, kind) for name, kind in declared.items()} == {
        name: types[name] for name in declared
    }


def test_unchanged_prices_are_not_written_again(settings: Settings) -> None:
    """The table is left alone while its version stays the same."""
    with warehouse.connect(settings) as connection:
        version = prices.materialise_prices(connection, settings)
        connection.execute("delete from meta.model_prices")
        assert prices.materialise_prices(connection, settings) == version
        assert connection.execute("select count(*) from meta.model_prices").fetchone() == (0,)


def test_version_names_package_and_content(settings: Settings) -> None:
    """The version says which package and which content it has."""
    name, number, content = prices.book_version(settings).split(" ")
    assert name == "genai-prices"
    assert number.count(".") == 2
    assert len(content) == 12


def _with_csv(settings: Settings, tmp_path: Path, *lines: str) -> Settings:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return settings.model_copy(update={"prices_csv": path})


def test_own_prices_win(settings: Settings, tmp_path: Path) -> None:
    """The user's lines come before the book's, the first before the second."""
    own = _with_csv(
        settings,
        tmp_path,
        "claude-opus-4*,2026-01-01,2026-02-01,4,20,,,,,contract 7",
        "*,,,1,2,3,4,0.5,0,",
    )
    with warehouse.connect(own) as connection:
        version = prices.materialise_prices(connection, own)
        rows = connection.execute(
            "select * exclude (book_version) from meta.model_prices order by priority limit 2"
        ).fetchall()
    assert "+prices.csv " in version
    first, second = rows
    assert first[:4] == ("user", "claude-opus-4*", 1, ["^claude-opus-4.*$"])
    assert first[4:6] == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert first[-7:] == (
        *(Decimal(price) for price in ("4", "20", "5", "8", "0.4", "10")),
        "contract 7",
    )
    assert second[-7:] == (
        *(Decimal(price) for price in ("1", "2", "3", "4", "0.5", "0")),
        "prices.csv",
    )


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("claude*,,,abc,1,,,,,", "line 3, column input: 'abc' is not a number"),
        ("claude*,,,-1,1,,,,,", "line 3, column input: '-1' is not a price in USD"),
        ("claude*,,,NaN,1,,,,,", "line 3, column input: 'NaN' is not a price in USD"),
        ("claude*,,,1,,,,,,", "line 3, column output: is empty"),
        (",,,1,1,,,,,", "line 3, column model_pattern: is empty"),
        ("claude*,31.1.2026,,1,1,,,,,", "line 3, column valid_from: '31.1.2026' is not a day"),
    ],
)
def test_bad_line_is_named(settings: Settings, tmp_path: Path, line: str, place: str) -> None:
    """A wrong price is an error that names file, line and column."""
    own = _with_csv(settings, tmp_path, "fine,,,1,1,,,,,", line)
    with warehouse.connect(own) as connection, pytest.raises(SettingsError) as caught:
        prices.materialise_prices(connection, own)
    assert place in caught.value.message
    assert str(own.prices_csv) in caught.value.message


def test_missing_column_is_named(settings: Settings, tmp_path: Path) -> None:
    """A file without a column is an error that names the column."""
    path = tmp_path / "prices.csv"
    path.write_text("model_pattern,input\n", encoding="utf-8")
    own = settings.model_copy(update={"prices_csv": path})
    with warehouse.connect(own) as connection, pytest.raises(SettingsError, match="valid_from"):
        prices.materialise_prices(connection, own)


def test_missing_price_file_is_named(settings: Settings, tmp_path: Path) -> None:
    """A price file that is not there is an error that names it."""
    own = settings.model_copy(update={"prices_csv": tmp_path / "nowhere.csv"})
    with pytest.raises(SettingsError, match=r"nowhere\.csv"):
        prices.book_version(own)
