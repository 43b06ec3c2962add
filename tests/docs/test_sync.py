"""docs/sync.md runs as written, and every test that docs/resilience.md names exists."""

from __future__ import annotations

import ast
import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.cli import reference
from annals.settings import Settings
from tests.conftest import ROOT, clean_environment

SYNC = (ROOT / "docs" / "sync.md").read_text(encoding="utf-8")
RESILIENCE = (ROOT / "docs" / "resilience.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?P<mark><!--[^>]*-->\n)?```(?P<kind>sh|sql)\n(?P<code>.*?)```", re.DOTALL)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FAULTS = (
    *("MongoDB is down", "process restarts", "Entries come twice", "stored in part"),
    *("not there at the start", "lost while running", "server is slow", "machine restarts"),
    *("disk is full", "file is corrupt", "buffer is corrupt", "restored from an old copy"),
    *("file is rotated", "file is deleted", "Two agents", "copied to two machines"),
    "clock changes",
)


def _blocks(kind: str) -> list[str]:
    return [
        match["code"]
        for match in BLOCK.finditer(SYNC)
        if match["kind"] == kind and "not run here" not in (match["mark"] or "")
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home without transcripts: every command means the sample there."""
    return tmp_path_factory.mktemp("sync")


@pytest.mark.parametrize("block", _blocks("sh"), ids=lambda block: block.split("#")[0].strip())
def test_every_command_block_runs(block: str, place: Path) -> None:
    """Each block runs as it stands, one after the other, with `annals` on PATH."""
    if "sync run" in block and "annals sync run" not in dict(reference.commands()):
        pytest.skip("this version has no `sync run` yet")
    bin_folder = Path(sys.executable).parent
    environment = clean_environment(place)
    environment["PATH"] = f"{bin_folder}:{environment['PATH']}"
    environment["TMPDIR"] = str(place)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "agent=$!" in block:
        assert "session-1.jsonl" in done.stdout, done.stdout


def test_the_queries_of_the_original_service_answer(place: Path) -> None:
    """Each SQL statement of the paper runs on a buffer and answers."""
    (block,) = _blocks("sql")
    environment = clean_environment(place)
    command = [sys.executable, "-m", "analytics.cli", "sync", "once"]
    subprocess.run(command, env=environment, cwd=place, check=True, capture_output=True)
    buffer = place / ".annals" / "sample" / "buffer.db"
    statements = [one for one in block.split(";") if one.strip()]
    with contextlib.closing(sqlite3.connect(buffer)) as connection:
        assert len(statements) == 3
        for statement in statements:
            assert connection.execute(statement).fetchall()


def test_settings_that_the_paper_names_exist() -> None:
    """Every setting in the paper's table is one."""
    table = SYNC[SYNC.index("## Settings") :]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert len(named) > 10
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_fault_has_a_row() -> None:
    """The table has a row for each fault of the list, with what happens and a test."""
    rows = [line for line in RESILIENCE.splitlines() if line.startswith("| ")][1:]
    for fault in FAULTS:
        (row,) = (one for one in rows if fault in one.split("|")[1])
        assert len(row.split("|")[2]) > 20
        assert NAMED.search(row)
    assert len(rows) == len(FAULTS)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(RESILIENCE))))
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    """Each test that the table names is a test of this repository."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8")) if (ROOT / path).exists() else None
    assert tree is not None, f"{path} is missing"
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in names
