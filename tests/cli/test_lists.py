"""Lists of any length: a page for people, all rows in JSON, little memory for both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annals.settings import Settings
from benchmarks.many_sessions import publish_many
from tests.conftest import Built, Finished, start

_SESSIONS = 25_000
_PEAK = """
import resource, sys
from analytics.cli.app import run
code = run(sys.argv[1:])
sys.stderr.write(f"PEAK {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
sys.exit(code)
"""


@pytest.fixture(scope="module")
def many(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with a published build of 25,000 sessions."""
    home = tmp_path_factory.mktemp("many")
    (published,) = (built.home / ".annals").rglob("published")
    state = home / published.parent.relative_to(built.home)
    shutil.copytree(published, state / "published", symlinks=True)
    publish_many(Settings(annals_home=state, claude_dir=str(home)), _SESSIONS)
    return home


def _read(home: Path, *arguments: str) -> Finished:
    return start(*arguments, home=home, cwd=home)


def _peak_mib(home: Path, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *arguments],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(done.stderr.rpartition("PEAK ")[2])


def test_json_has_all_rows_in_order_and_their_totals(many: Path) -> None:
    """All sessions are in the JSON, by cost, each once, and the totals are their sums."""
    report = _read(many, "usage", "session", "--json").data
    rows = report["sessions"]
    assert len({row["sessionId"] for row in rows}) == len(rows) == _SESSIONS
    keys = [(-row["totalCost"], row["sessionId"]) for row in rows]
    assert keys == sorted(keys)
    assert sum(row["totalTokens"] for row in rows) == report["totals"]["totalTokens"]
    assert sum(row["totalCost"] for row in rows) == pytest.approx(report["totals"]["totalCost"])
    assert sum(row["quality"]["responses"] for row in rows) == report["quality"]["responses"]
    assert all(row["projectPath"].startswith("/home/u/p") for row in rows)


def test_a_page_has_the_first_rows_and_the_totals_of_all(many: Path) -> None:
    """With --limit the rows are the first of the whole report, in both orders; totals stay."""
    every = _read(many, "usage", "session", "--json").data
    assert every["rowsLeftOut"] == 0
    for order, rows in (("desc", every["sessions"]), ("asc", every["sessions"][::-1])):
        for limit in (7, 10_001):
            words = ("usage", "session", "--json", "--order", order, "--limit", str(limit))
            page = _read(many, *words).data
            assert page["sessions"] == rows[:limit]
            assert page["rowsLeftOut"] == _SESSIONS - limit
            assert page["totals"] == every["totals"]


@pytest.mark.parametrize("words", [("sessions", "list"), ("iceberg", "snapshots")])
def test_a_page_as_json_says_what_it_leaves_out(
    many: Path, built: Built, words: tuple[str, str]
) -> None:
    """With --limit the JSON counts the rows that are left out; without it none is."""
    home = many if words[0] == "sessions" else built.home
    key = words[-1] if words[0] == "iceberg" else "sessions"
    every = _read(home, *words, "--json").data
    assert every["rows_left_out"] == 0
    page = _read(home, *words, "--json", "--limit", "1").data
    assert (len(page[key]), page["rows_left_out"]) == (1, len(every[key]) - 1)


@pytest.mark.parametrize("words", [("usage", "session"), ("sessions", "list")])
def test_a_table_is_a_page_that_says_what_it_leaves_out(many: Path, words: tuple[str, str]) -> None:
    """50 rows by default; the last line says how many more there are and how to see them."""
    page = _read(many, *words).out
    assert page.count("-0000-4000-8000-") == 50
    assert "24,950 more sessions not shown: --all shows all 25,000" in page
    every = _read(many, *words, "--all").out
    assert every.count("-0000-4000-8000-") == _SESSIONS
    assert "not shown" not in every
    few = _read(many, *words, "--limit", "3").out
    assert few.count("-0000-4000-8000-") == 3
    assert _read(many, *words, "--limit", "3", "--all").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("usage", "session", "--json"),
        ("usage", "session", "--all"),
        ("sessions", "list", "--json"),
        ("sessions", "list", "--all"),
    ],
)
def test_memory_does_not_follow_the_rows(many: Path, words: tuple[str, ...]) -> None:
    """All of 25,000 rows take at most 40 MiB more than one: 1.6 kB a row, most of it fixed."""
    one = _peak_mib(many, *(word for word in words if word != "--all"), "--limit", "1")
    assert _peak_mib(many, *words) - one < 40


def test_a_reader_that_leaves_early_is_no_error(many: Path) -> None:
    """After ``| head -1`` a list of any length ends at once, quietly and well."""
    for words in ("usage session --json", "usage session --all", "sessions list --json"):
        script = f"set -o pipefail; {sys.executable} -m analytics.cli {words} | head -c 100"
        done = subprocess.run(
            ["bash", "-c", script],
            env={"HOME": str(many), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0
        assert [line[:5] for line in done.stderr.splitlines()] == ["note:"]  # it is the sample
        assert len(done.stdout) == 100


def test_nothing_is_printed_before_the_first_row_is_there(many: Path) -> None:
    """Where the build cannot be read, no half of a JSON document is left, and the error is one."""
    (path,) = many.rglob("fct_api_responses.parquet")
    whole = path.read_bytes()
    path.write_bytes(b"x" * 64)
    done = _read(many, "usage", "session", "--json")
    path.write_bytes(whole)
    assert done.code == 9
    assert done.out == ""
    assert json.loads(done.err.splitlines()[-1])["hint"]
