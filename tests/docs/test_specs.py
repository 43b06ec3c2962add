"""Specifications and tests agree: each numbered rule has a test, each number in a test a rule."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

SPECS = {"positions": "P", "shipping": "S", "watching": "WH"}


@pytest.mark.parametrize("name", SPECS)
def test_every_rule_has_a_test_that_names_it(name: str) -> None:
    """Each numbered rule is in the docstring of a test, and no test names a rule that is none."""
    number = rf"[{SPECS[name]}]-\d\d"
    text = (ROOT / "docs" / "specs" / f"{name}.md").read_text(encoding="utf-8")
    rules = set(re.findall(rf"^- \*\*({number})\*\*", text, re.MULTILINE))
    assert len(rules) > 10
    named: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        named |= set(re.findall(rf"\b{number}\b", path.read_text(encoding="utf-8")))
    assert named == rules
