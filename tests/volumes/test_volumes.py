"""Full builds with default settings: many small sessions, few large ones, one of everything.

``make test-long`` sets VOLUME_ENTRIES to 1,000,000 and 3,000,000; the suite runs a short form of
the same code.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import duckdb
import pytest

from benchmarks.processes import ROOT, Finished, run
from examples.generator.plain import PlainTotals, write_plain
from tests.volumes.groups import limited

ENTRIES = [int(number) for number in os.environ.get("VOLUME_ENTRIES", "2000").split(",")]
IS_LONG = min(ENTRIES) >= 1_000_000
GIB = 1024**3
PER_SESSION = (50, 50_000, 1_000_000)
TOTALS = (
    "select count(*) as responses, sum(input_tokens)::bigint as input_tokens,"
    " sum(output_tokens)::bigint as output_tokens,"
    " (select count(*) from gold.fct_tool_calls) as tool_calls,"
    " (select sum(entries)::bigint from gold.dim_sessions) as entries,"
    " (select count(*) from gold.dim_sessions) as sessions from gold.fct_api_responses"
)


def annals(folder: Path, group: Path | None, *words: str) -> Finished:
    """Run a command of the product with its defaults, in ``group`` if there is one."""
    enter = f"echo $$ > {group}; " if group else ""
    command = ["sh", "-c", f'{enter}exec "$@"', "sh", sys.executable, "-m", "analytics.cli", *words]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLAUDE_DIR": str(folder / "projects"),
        "SQLITE_PATH": str(folder / "buffer.db"),
        "ANNALS_HOME": str(folder / "annals"),
        "PYTHONPATH": str(ROOT),
    }
    return run(command, environment=environment, folder=folder)


def published(folder: Path) -> dict[str, int]:
    """Return the totals of the published build."""
    catalog = folder / "annals" / "published" / "current" / "catalog.duckdb"
    with duckdb.connect(catalog, read_only=True) as connection:
        cursor = connection.execute(TOTALS)
        row = cursor.fetchone()
        names = [column[0] for column in cursor.description or ()]
    return dict(zip(names, row or (), strict=True))


def expected(totals: PlainTotals) -> dict[str, int]:
    """Return what gold has to hold: each answer is one response with one tool call."""
    return {
        "responses": totals.responses,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "tool_calls": totals.responses,
        "entries": totals.entries,
        "sessions": totals.sessions,
    }


@pytest.mark.parametrize("per_session", PER_SESSION if IS_LONG else PER_SESSION[:1])
@pytest.mark.parametrize("entries", ENTRIES)
@pytest.mark.timeout(3_600)
def test_a_full_build_is_exact_within_a_gigabyte(
    tmp_path: Path, entries: int, per_session: int
) -> None:
    """In a control group of 2 GiB, every build stays below 1 GiB and every total is right."""
    sessions = max(1, entries // per_session)
    totals = write_plain(tmp_path / "projects", sessions=sessions, entries=entries)
    with limited(2 * GIB) as group:
        for words in ("pipeline",), ("transform", "--full-refresh"), ("publish",):
            finished = annals(tmp_path, group, *words)
            assert finished.peak_bytes < GIB, finished.facts()
    assert published(tmp_path) == expected(totals)


def test_the_generator_knows_its_totals(tmp_path: Path) -> None:
    """The totals are those of the lines, whatever the entries of a session."""
    for sessions, entries in ((3, 20), (1, 7), (4, 4)):
        folder = tmp_path / f"{sessions}-{entries}"
        totals = write_plain(folder, sessions=sessions, entries=entries)
        files = list(folder.rglob("*.jsonl"))
        lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        answers = [line["message"]["usage"] for line in lines if line["type"] == "assistant"]
        assert (len(files), len(lines), len(answers)) == (sessions, entries, totals.responses)
        assert sum(usage["input_tokens"] for usage in answers) == totals.input_tokens
        assert sum(usage["output_tokens"] for usage in answers) == totals.output_tokens
