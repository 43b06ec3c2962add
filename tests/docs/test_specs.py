"""Specifications and tests agree: each numbered rule has a test, each number in a test a rule."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(("name", "letters"), [("watching", "WH")])
def test_every_rule_has_a_test_that_names_it(name: str, letters: str) -> None:
    """The numbers of the specification are those in the first lines of tests."""
    text = (ROOT / "docs" / "specs" / f"{name}.md").read_text(encoding="utf-8")
    rules = set(re.findall(rf"^- \*\*([{letters}]-\d+)\*\*", text, re.MULTILINE))
    named: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        named |= set(re.findall(rf'^    """([{letters}]-\d\d) ', source, re.MULTILINE))
    assert named == rules
