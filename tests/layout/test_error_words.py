"""No module chooses an error, a hint or a way by the sentence that a library writes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

PACKAGES = sorted(
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"
)
SEARCHES = {"search", "match", "fullmatch", "findall", "startswith", "endswith", "find", "index"}

SHOWN = {
    "loaders/warehouse_errors.py": "words name the file to look at and the figure to show",
}
"""Modules that take something out of a sentence: a look at the file or a number decides."""


def _exceptions(tree: ast.AST) -> set[str]:
    """Return the names that hold an exception: ``except ... as NAME`` and arguments typed so."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    typed = {
        node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg)
        and node.annotation is not None
        and any(word in ast.unparse(node.annotation) for word in ("Exception", "Error"))
    }
    return {name for name in caught | typed if name}


def _says(node: ast.AST, exceptions: set[str]) -> bool:
    """Return whether an expression holds the sentence of an exception."""

    def is_one(inner: ast.AST) -> bool:
        return isinstance(inner, ast.Name) and inner.id in exceptions

    return any(
        any(map(is_one, inner.args)) and getattr(inner.func, "id", "") in ("str", "repr")
        if isinstance(inner, ast.Call)
        else isinstance(inner, ast.Attribute)
        and inner.attr in ("args", "message")
        and is_one(inner.value)
        for inner in ast.walk(node)
    )


def _judged(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that search the sentence of an exception, also under another name."""
    exceptions = _exceptions(tree)
    texts = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _says(node.value, exceptions)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def is_text(node: ast.AST) -> bool:
        names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        return _says(node, exceptions) or bool(names & texts)

    for node in ast.walk(tree):
        if any(map(is_text, _searched(node))):
            yield node.lineno  # type: ignore[attr-defined] -- calls and comparisons have one


def _searched(node: ast.AST) -> list[ast.expr]:
    """Return the expressions that a comparison or a search looks into."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return node.comparators
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return [node.func.value, *node.args] if node.func.attr in SEARCHES else []
    return []


def test_no_sentence_of_a_library_decides() -> None:
    """Class, errno, code and status decide; a sentence is shown and nothing else."""
    found = {
        f"{name}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in SHOWN
        for line in _judged(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept E as error:\n  if 'no such' in str(error): pass",
        "try: f()\nexcept E as error:\n  if 'no such' not in str(error).lower(): pass",
        "try: f()\nexcept E as e:\n  text = str(e)\n  if WORDS.search(text): pass",
        "def f(error: Exception):\n  return any(word in str(error) for word in WORDS)",
        "def f(error: OSError):\n  return error.args[0] == 'x'",
        "def f(error: OSError):\n  return str(error).startswith('x')",
    ],
)
def test_the_search_finds_each_form(code: str) -> None:
    """The test above would see the ways in which this was written before."""
    assert list(_judged(ast.parse(code)))
