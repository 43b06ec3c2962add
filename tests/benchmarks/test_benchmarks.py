"""The benchmarks' own parts: verdicts, inputs, measured children."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import inputs
from benchmarks.figures import Figure, table
from benchmarks.processes import python, run
from benchmarks.workspaces import size_of
from examples.generator import write_bench


def test_figure_knows_on_which_side_its_target_lies() -> None:
    """At most is the rule, at least where said so, and no target gives no verdict."""
    assert Figure("a", "b", 2.0, "s", 2.0).reached is True
    assert Figure("a", "b", 2.1, "s", 2.0).reached is False
    assert Figure("a", "b", 21.0, "MB/s", 20.0, at_least=True).reached is True
    assert Figure("a", "b", 19.0, "MB/s", 20.0, at_least=True).reached is False
    assert Figure("a", "b", 19.0, "MB/s").reached is None


def test_table_says_what_was_not_reached() -> None:
    """A missed target stands out beside its figure."""
    lines = table([Figure("cold", "x", 19.0, "MB/s", 20.0, at_least=True)]).splitlines()
    assert lines[1] == "cold       x       19 MB/s   >= 20 MB/s  NOT REACHED"


_CODES = "CODES"
_MEASURE = """
import os, sys
from pathlib import Path
from benchmarks.processes import python
for code in CODES:
    print(python("-c", code, environment=dict(os.environ), folder=Path(sys.argv[1])).peak_bytes)
"""
"""Measures children from a small process: their peaks begin at that of the one that starts them."""


def test_child_reports_its_own_peak_memory(tmp_path: Path) -> None:
    """The peak is the child's: 80 MB more where it holds 80 MB more."""
    outer = tmp_path / "outer"
    outer.mkdir()
    measure = _MEASURE.replace(_CODES, repr(("pass", "x = b'1' * 80_000_000")))
    finished = python("-c", measure, tmp_path, environment=dict(os.environ), folder=outer)
    small, big = map(int, finished.output.split())
    assert 70_000_000 < big - small < 110_000_000


def test_failing_child_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """A child that fails is not a measurement."""
    with pytest.raises(RuntimeError, match="no such luck"):
        run(
            [sys.executable, "-c", "raise SystemExit('no such luck')"],
            environment=dict(os.environ),
            folder=tmp_path,
        )


def test_grown_tree_has_exactly_the_lines_asked_for(tmp_path: Path) -> None:
    """The lines of an increment are counted to the line, and old bytes stay."""
    write_bench(tmp_path, lines=600)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    inputs.grow(tmp_path, lines=100, files=3, seed=1)
    grown = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert before.keys() == grown.keys()
    assert all(grown[path].startswith(old) for path, old in before.items())
    assert sum(data.count(b"\n") for data in grown.values()) == 100 + sum(
        data.count(b"\n") for data in before.values()
    )


def test_one_file_is_as_large_as_asked(tmp_path: Path) -> None:
    """The tree of the append benchmark is a single file of the size asked for."""
    inputs.one_file(tmp_path, size=9)
    (path,) = tmp_path.rglob("*.jsonl")
    assert path.stat().st_size >= 9_000_000
    assert size_of(tmp_path) == path.stat().st_size


_STARTS_CHILDREN = """
import subprocess, sys
held = b"x" * (200 << 20)
for _ in range(60):
    subprocess.run(["/bin/true"], close_fds=False)
"""


def test_a_child_before_its_program_is_not_counted_twice(tmp_path: Path) -> None:
    """A process of 200 MiB that starts many short children holds 200 MiB, not twice that."""
    outer = tmp_path / "outer"
    outer.mkdir()
    measure = _MEASURE.replace(_CODES, repr((_STARTS_CHILDREN,)))
    done = python("-c", measure, tmp_path, environment=dict(os.environ), folder=outer)
    assert 200 << 20 < int(done.output) < 300 << 20
