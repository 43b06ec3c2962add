"""Nothing counts as done because no failure was seen: the code asks for the result itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.errors import LakeError
from annals.settings import load_settings
from flows.running_services import State
from operations.backup.contents import lake_files
from tests.conftest import PACKAGES, ROOT

JUDGED_BY_OUTPUT = {"sync_agent/agent/installing.py:_is_enabled"}
"""Functions that look for one word in the output, which no failure prints."""


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", node


def _calls(function: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield node


def test_a_walk_says_what_becomes_of_folders_that_cannot_be_listed() -> None:
    """`os.walk` passes over what it cannot list: every call says what happens to that."""
    silent = [
        place
        for place, function in _functions()
        for call in _calls(function, "os.walk")
        if "onerror" not in {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []


def test_the_exit_code_of_a_child_is_looked_at() -> None:
    """A child that is not checked when it ends has its exit code read, or handed on."""
    blind = []
    for place, function in _functions():
        for call in _calls(function, "subprocess.run"):
            checked = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            text = ast.unparse(function)
            is_read = "returncode" in text or f"return {ast.unparse(call)}" in text
            if checked.get("check") != "True" and not is_read:
                blind.append(place)
    assert set(blind) == JUDGED_BY_OUTPUT


def test_no_services_are_not_healthy_services() -> None:
    """A state that lists no service is not a sign that all of them are well."""
    assert not State(pid=1, services=()).is_healthy


def test_a_folder_that_cannot_be_listed_fails_the_backup(tmp_path: Path) -> None:
    """A lake whose folder cannot be listed is an error, and not an archive without its files."""
    settings = load_settings(annals_home=tmp_path, iceberg_warehouse_path=tmp_path / "gone")
    with pytest.raises(LakeError, match="cannot be listed"):
        list(lake_files(settings, tmp_path / "gone" / "catalog.db"))
