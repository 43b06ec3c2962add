"""Each code block of docs/data runs, and so does the notebook of the examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Built

PAGES = ("builds.md", "lake.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(
    page: str, built: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block of a page by itself, as somebody pastes it, on build and lake of the sample."""
    text = (ROOT / "docs" / "data" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    monkeypatch.setenv("HOME", str(built.home))
    state = built.home / ".annals" / "sample"
    for block in blocks:
        names: dict[str, Any] = {}
        here = block.replace('Path.home() / ".annals"', f"Path({str(state)!r})")
        exec(compile(here, page, "exec"), names)  # noqa: S102 -- the block is what is tested
    assert len(capsys.readouterr().out.splitlines()) >= len(re.findall(r"print\(", text))


def test_the_notebook_runs(
    built: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cells of examples/notebook.ipynb, in order."""
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    monkeypatch.setenv("HOME", str(built.home))
    names: dict[str, Any] = {}
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        exec(compile(cell, "notebook", "exec"), names)  # noqa: S102 -- the cell is what is tested
    assert len(cells) > 2
    assert "claude-" in capsys.readouterr().out


def test_the_schema_page_names_every_column_of_gold(built: Built) -> None:
    """docs/data/gold.md, which is generated, has each table and column that a build has."""
    import duckdb

    text = (ROOT / "docs" / "data" / "gold.md").read_text(encoding="utf-8")
    catalog = Path(built.home, ".annals/sample/published/current").resolve() / "catalog.duckdb"
    with duckdb.connect(str(catalog), read_only=True) as build:
        query = (
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'gold'"
        )
        columns = build.execute(query).fetchall()
    assert columns
    for table, column in columns:
        section = text.partition(f"## {table}\n")[2].partition("\n## ")[0]
        assert f"| `{column}` |" in section, (table, column)
