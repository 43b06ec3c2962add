"""What dbt does not do twice, or not at all, changes nothing of what it builds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from annals.settings import Settings
from loaders import warehouse
from loaders.brisk_dbt import with_ctes
from loaders.dbt_project import PROJECT_FOLDER
from loaders.load import load
from loaders.transform import transform

CTES = ("__dbt__cte__a as (\nselect 1 as x\n)", "__dbt__cte__b as (\nselect ';' as y\n)")
HEADS = (
    "with x as (select 1) select * from x",
    "\n\n  WITH\n\nx as (select 1)\nselect * from x\n",
    "-- with a comment; and another\nwith x as (select 1) select * from x",
    "/* with\n; */ with /* y */ x as (select 1) select * from x",
    "with recursive x as (select 1) select * from x",
    "with RECURSIVE\n  x as (select ';' as y) select * from x -- ; here",
)
OTHERS = (
    "select 1",
    "",
    "(with x as (select 1) select * from x)",
    "without as (select 1)",
    "with x as (select 1) select * from x; select 2",
)


def _by_dbt(sql: str) -> str:
    from dbt.compilation import inject_ctes_into_sql

    ctes: Any = [SimpleNamespace(sql=cte) for cte in CTES]
    return str(inject_ctes_into_sql(sql, ctes))


@pytest.mark.parametrize("sql", HEADS)
def test_expressions_are_put_where_dbt_puts_them(sql: str) -> None:
    """The query is the same to the letter, whatever stands before its ``with``."""
    assert with_ctes(sql, CTES) == _by_dbt(sql)


@pytest.mark.parametrize("sql", OTHERS)
def test_any_other_query_is_left_to_dbt(sql: str) -> None:
    """What has no ``with`` at its head, or a semicolon, is for dbt to parse."""
    assert with_ctes(sql, CTES) is None


def test_the_queries_of_the_project_are_what_dbt_makes_of_them() -> None:
    """Every model that begins with a ``with`` becomes the same text."""
    texts = [path.read_text() for path in sorted(PROJECT_FOLDER.glob("models/**/*.sql"))]
    plain = [re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " x ", text, flags=re.DOTALL) for text in texts]
    known = {text: with_ctes(text, CTES) for text in plain}
    found = [text for text in plain if known[text] is not None]
    assert found
    assert [text for text in found if known[text] != _by_dbt(text)] == []


def _settings(place: Path) -> Settings:
    return Settings(
        _env_file=None,
        annals_home=place / "annals",
        sqlite_path=place / "buffer.db",
        timezone="Europe/Berlin",
    )


def test_what_one_process_parsed_serves_its_next_build(
    tmp_path: Path, make_lake: type, small_dbt: Path
) -> None:
    """The second build, elsewhere, parses nothing and has the same gold; a changed project does."""
    found: list[list[Any]] = []
    for name in ("first", "second"):
        settings = _settings(tmp_path / name)
        lake = make_lake(settings)
        lake.append(lake.entry("s1", {"key": "a"}), lake.entry("s2", {"key": "b"}))
        load(settings)
        transform(settings, project=small_dbt, run_tests=True)
        with warehouse.connect(settings) as connection:
            found.append(
                connection.execute("select * from gold.fct_api_responses order by all").fetchall()
            )
    assert found[0] == found[1] != []
    parsed = tmp_path / "second" / "annals" / "dbt" / "target" / "partial_parse.msgpack"
    assert not parsed.exists()
    (model,) = small_dbt.glob("models/gold/fct_api_responses.sql")
    shutil.copy(model, model.with_name("copied.sql"))
    transform(settings, project=small_dbt)
    assert parsed.exists()
