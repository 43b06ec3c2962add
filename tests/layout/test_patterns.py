"""Every regular expression of the program takes time in proportion to the text it meets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PACKAGES

_CHECKOUT = Path(__file__).parents[2]
_PARSER: Any = re._parser  # type: ignore[attr-defined]
_MANY = 16
_MENTION = re.compile(r"\bre\.[a-z]+\(")


def _literals() -> Iterator[tuple[str, str]]:
    """Yield place and text of each expression that ``re`` is given as a constant."""
    for package in PACKAGES:
        for path in sorted((_CHECKOUT / package).rglob("*.py")):
            code = path.read_text()
            if not _MENTION.search(code):
                continue  # parsing it would cost each process of the suite its share
            for node in ast.walk(ast.parse(code)):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if getattr(node.func.value, "id", "") != "re" or not node.args:
                    continue
                text = _text(node.args[0])
                if text is not None and node.func.attr != "escape":
                    yield f"{path.relative_to(_CHECKOUT)}:{node.lineno}", text


def _text(node: ast.expr) -> str | None:
    """Return a constant; what is put into an f-string counts as one letter."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
        return "".join(map(str, parts))
    return None


def _nested(parsed: Any, *, is_inside: bool = False) -> bool:
    """Return whether something repeated without end holds something repeated without end."""
    for operation, value in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, body = value
            is_open = most is _PARSER.MAXREPEAT or most > _MANY
            if (is_inside and is_open) or _nested(body, is_inside=is_inside or is_open):
                return True
        elif name in ("SUBPATTERN", "BRANCH"):
            bodies = value[1] if name == "BRANCH" else [value[-1]]
            if any(_nested(body, is_inside=is_inside) for body in bodies):
                return True
    return False


def test_the_search_finds_what_it_looks_for() -> None:
    """Nested repetition is found in groups and branches, and not where it cannot backtrack."""
    for text in ("(a+)+", "(?:a*b*)*", "(x|(y+))*z", "([a-z]+)*@"):
        assert _nested(_PARSER.parse(text)), text
    for text in ("a+b*", "(?:ab)*", "(?>a+)*", "(?:a++b)*", "(?:a{1,3})*"):
        assert not _nested(_PARSER.parse(text)), text


@pytest.mark.parametrize(("place", "text"), list(_literals()))
def test_no_expression_repeats_a_repetition(place: str, text: str) -> None:
    """A repetition in a repetition can take time with a power of the text; make one atomic."""
    assert not _nested(_PARSER.parse(text)), place
