"""What every file of the project keeps to."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PACKAGES, ROOT

LOOKED_AT = (*PACKAGES, "examples")
VAGUE = {"utils", "helpers", "common", "manager", "base", "misc"}
LINES = 400
FUNCTION_LINES = 40
MOCKS = ("unittest.mock", "pytest_mock", "mocker")


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def _texts() -> Iterator[tuple[Path, str]]:
    for path in _tracked():
        if "examples/transcripts" in path.as_posix():
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@pytest.fixture(scope="module", autouse=True)
def _checkout() -> None:
    """Skip where there is no repository to look at."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")


def _modules() -> list[Path]:
    return [path for path in _tracked() if path.suffix == ".py"]


def test_files_and_functions_are_short() -> None:
    """No module has more than 400 lines and no function more than 40."""
    long = []
    for path in _modules():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LINES:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")
    assert long == []


def test_no_module_has_a_vague_name() -> None:
    """No module is called utils, helpers, common, manager, base or misc."""
    assert [path for path in _modules() if path.stem in VAGUE] == []


def test_every_test_says_what_it_shows() -> None:
    """Every test has a docstring."""
    silent = [
        f"{path.name}: {node.name}"
        for path in _modules()
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_dbt_is_no_python_package() -> None:
    """An __init__.py in dbt/ would shadow dbt-core; a docker/ folder would shadow its client."""
    assert not (ROOT / "dbt" / "__init__.py").exists()
    assert not (ROOT / "docker").exists()


def test_no_file_names_a_package_index_or_a_machine() -> None:
    """No tracked file holds the address of a package index or a path of the machine it grew on."""
    hosts = r"pypi\.or[g]|pythonhoste[d]|proxy\.golang\.or[g]|repo1\.mave[n]"
    machine = r"(?<![\w.])/(?:root|work/(?:main|shared)|tmp/annals)/"
    forbidden = re.compile(f"{hosts}|{machine}")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in _texts()
        for match in [forbidden.search(text)]
        if match
    ]
    assert found == []


def test_requirements_are_pinned_and_hashed() -> None:
    """Every requirement has one version and hashes."""
    for path in (ROOT / "requirements").glob("*.txt"):
        blocks = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
        for block in blocks:
            assert re.match(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==\S+", block), (path.name, block[:80])
            assert "--hash=sha256:" in block, (path.name, block[:80])


def test_mocks_are_rare() -> None:
    """At most two of a hundred tests use a mock."""
    tests = mocked = 0
    for path in _modules():
        if path.name.startswith("test_") and path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            tests += len(re.findall(r"^def test_", text, re.MULTILINE))
            mocked += sum(text.count(name) for name in MOCKS)
    assert mocked * 50 <= tests
