"""Success is an answer that was looked at: no result is used unseen."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import PACKAGES, ROOT

LOOKED_AT = (*PACKAGES, "deploy")
MODULES = ("subprocess.", "urllib.request.")
LOOKS = {"run": "returncode", "Popen": "returncode", "urlopen": "read"}
"""What a function that makes such a call has to look at; or what it is given back does."""

ELSEWHERE = {
    "flows/ahead.py begin Popen": "the answer comes through a pipe; none is an error",
    "operations/services/detaching.py start_detached Popen": "its poll and states are looked at",
    "operations/services/running.py _start Popen": "its poll looks at the exit code",
    "operations/stack/preflight.py _run run": "its caller looks",
    "sync_agent/agent/installing.py _is_enabled run": "the printed word is the answer",
}


def _calls() -> Iterator[tuple[str, str, set[str]]]:
    """Yield each such call: the place, what it is, and the attributes that its function uses."""
    for package in LOOKED_AT:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if not any(module in text for module in MODULES):
                continue  # parsing it would cost each process of the suite its share
            name = path.relative_to(ROOT).as_posix()
            for function in ast.walk(ast.parse(text)):
                if isinstance(function, ast.FunctionDef):
                    nodes = list(ast.walk(function))
                    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
                    for node in nodes:
                        if isinstance(node, ast.Call) and (kind := _kind(node)):
                            yield f"{name} {function.name} {kind}", kind, used


def _kind(node: ast.Call) -> str:
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in LOOKS:
        return ""
    return node.func.attr if ast.unparse(node.func).startswith(MODULES) else ""


CALLS = sorted(_calls(), key=lambda call: call[0])


def test_there_are_calls_to_look_at() -> None:
    """The scan sees processes and addresses, and no exception is out of date."""
    assert {kind for _, kind, _ in CALLS} == set(LOOKS)
    unseen = {place for place, kind, used in CALLS if LOOKS[kind] not in used}
    assert set(ELSEWHERE) == unseen


@pytest.mark.parametrize(("place", "kind", "used"), CALLS, ids=[place for place, _, _ in CALLS])
def test_a_result_is_looked_at(place: str, kind: str, used: set[str]) -> None:
    """Each start of a process looks at its exit code, each request at the body."""
    assert LOOKS[kind] in used or place in ELSEWHERE
