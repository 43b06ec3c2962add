"""Every MUST of a specification has a test that names it."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

SPECS = {"shipping.md": "S", "positions.md": "P"}


@pytest.mark.parametrize("name", SPECS)
def test_every_must_has_a_test(name: str) -> None:
    """Each numbered rule of the specification is in the docstring of at least one test."""
    letter = SPECS[name]
    text = (ROOT / "docs" / "specs" / name).read_text(encoding="utf-8")
    rules = set(re.findall(rf"^- \*\*({letter}-\d\d)\*\*", text, re.MULTILINE))
    assert len(rules) > 10
    named = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        named |= set(re.findall(rf"\b{letter}-\d\d\b", path.read_text(encoding="utf-8")))
    assert rules <= named
    assert named <= rules, "a test names a rule that does not exist"
