"""SECURITY.md and the tests agree: each row of the threat model names a test that exists."""

from __future__ import annotations

import re

from tests.conftest import ROOT

COLUMNS = ["who attacks, from where", "what they try", "what stops them", "test"]


def threats() -> list[list[str]]:
    """Return the rows of the threat model, headings first, each as its cells."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = text.partition("## Threat model")[2].partition("\n## ")[0]
    lines = (line for line in section.splitlines() if line.startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def test_every_threat_names_a_test_that_exists() -> None:
    """The last cell of each row is `path` or `path::test_name`, and that is in the tree."""
    headings, *rows = threats()
    assert headings == COLUMNS
    assert rows
    for row in rows:
        assert len(row) == len(COLUMNS), row
        named = re.findall(r"`(tests/[^`:]+\.py)(?:::(\w+))?`", row[3])
        assert named, f"no test in: {row}"
        for path, name in named:
            assert (ROOT / path).is_file(), path
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^(?:async )?def {name or 'test_'}", text, re.MULTILINE), (
                path,
                name,
            )


def test_no_threat_is_listed_twice() -> None:
    """Two rows with the same attacker and the same attempt would be one."""
    attempts = [(row[0], row[1]) for row in threats()[1:]]
    assert len(attempts) == len(set(attempts))
