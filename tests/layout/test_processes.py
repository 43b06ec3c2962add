"""Every process that the program starts gets an environment that the program makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PACKAGES, ROOT

STARTS = {"run", "Popen", "call", "check_call", "check_output", "execv", "execve", "execvp"}
STARTS |= {"execl", "execlp", "posix_spawn", "spawnv", "system", "create_subprocess_exec"}
MAKERS = {"child_environment", "tool_environment"}
PLANNED = {
    "operations/stack/__main__.py",
    "operations/stack/condition.py",
    "operations/stack/preflight.py",
}
"""They pass the environment of a plan on, which is made in one place."""

SERVICES = {"operations/services/running.py"}
"""It passes on that of a service, which operations/services/services.py makes."""

SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def _starts(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr)):
                if owner in {"subprocess", "os", "asyncio"} and attr in STARTS:
                    yield node


def _names(path: Path) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}


def test_there_are_processes_to_look_at() -> None:
    """The scan sees the places that start processes."""
    assert sum(len(list(_starts(ast.parse(path.read_text())))) for path in SOURCES) > 8


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_process_gets_an_environment_that_is_made(path: Path) -> None:
    """No call starts a process with whatever variables this one has."""
    starts = list(_starts(ast.parse(path.read_text())))
    for call in starts:
        is_given = any(word.arg == "env" for word in call.keywords)
        assert is_given or getattr(call.func, "attr", "") == "execve", ast.unparse(call)
    name = path.relative_to(ROOT).as_posix()
    if starts and name not in PLANNED | SERVICES:
        assert _names(path) & MAKERS, f"{name} makes its environment elsewhere"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_copies_the_environment(path: Path) -> None:
    """One module alone makes an environment out of that of this process."""
    if path.name == "environments.py":
        return
    text = " ".join(path.read_text().split())
    copies = ("**os.environ", "dict(os.environ", "os.environ |", "os.environ.copy", "| os.environ")
    assert not [copy for copy in copies if copy in text]


def test_services_and_stacks_make_theirs() -> None:
    """Services of `up` and the plan of the stack begin with an environment that is made."""
    assert "child_environment" in _names(ROOT / "operations/services/services.py")
    assert "tool_environment" in _names(ROOT / "operations/stack/__main__.py")
