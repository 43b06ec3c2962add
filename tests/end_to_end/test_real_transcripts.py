"""Real transcripts, counted by an independent counter, before and after a bad day."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Finished, start

KEYS = {
    "in": "inputTokens",
    "out": "outputTokens",
    "cw": "cacheCreationTokens",
    "cr": "cacheReadTokens",
}


@dataclass(frozen=True)
class Custody:
    """A home with a pipeline over a private copy of the real transcripts."""

    home: Path
    transcripts: Path
    truth: dict[str, Any]

    def run(self, *arguments: str) -> Finished:
        """Run a command on the copy and expect it to succeed."""
        done = start(*arguments, home=self.home, cwd=self.home, CLAUDE_DIR=str(self.transcripts))
        assert done.code == 0, done.err
        return done

    def days(self) -> dict[str, dict[str, int]]:
        """Return tokens by UTC day, as the independent count names them."""
        report = self.run("usage", "daily", "--json", "--timezone", "UTC").data
        return {
            day["date"]: {short: day[key] for short, key in KEYS.items()} for day in report["daily"]
        }


@pytest.fixture(scope="module")
def custody(real_transcripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Custody:
    """Run the pipeline once on a copy of the real transcripts."""
    home = tmp_path_factory.mktemp("real")
    transcripts = home / "projects"
    shutil.copytree(real_transcripts / "projects", transcripts)
    truth = json.loads((real_transcripts / "TRUTH.json").read_text())
    custody = Custody(home, transcripts, truth)
    custody.run("pipeline", "--json")
    return custody


def test_tokens_equal_the_independent_count_to_the_token(custody: Custody) -> None:
    """Every day and every sum is what the independent counter found."""
    assert custody.days() == custody.truth["days"]
    totals = custody.run("usage", "daily", "--json", "--timezone", "UTC").data["totals"]
    assert [totals[key] for key in KEYS.values()] == custody.truth["tokens"]["max_output"][:4]


def test_every_byte_is_accounted_for(custody: Custody) -> None:
    """The deep validation covers each byte of each file and finds nothing invented."""
    report = custody.run("validate", "--deep", "--json").data
    figures = {check["name"]: check["figures"] for check in report["checks"]}["bytes"]
    assert figures["bytes_on_disk"] == custody.truth["counts"]["bytes"]
    assert figures["entries"] == custody.truth["counts"]["records"]
    assert report["passed"] is True


def truncate(path: Path) -> None:
    """Cut a file in the middle of a record."""
    os.truncate(path, path.stat().st_size * 2 // 3)


def splice(path: Path) -> None:
    """Remove a newline between two records."""
    data = path.read_bytes()
    at = data.find(b"}\n{", len(data) // 3) + 1
    assert at, "two records on neighbouring lines"
    path.write_bytes(data[:at] + data[at + 1 :])


def replace(path: Path) -> None:
    """Put another transcript in the place of a file."""
    other = path.with_name("new")
    other.write_bytes(
        b'{"type":"user","uuid":"u","sessionId":"replaced","message":{"content":"x"}}\n'
    )
    other.replace(path)


def delete(path: Path) -> None:
    """Delete a file at the source."""
    path.unlink()


def test_a_bad_day_at_the_source_changes_no_figure(custody: Custody) -> None:
    """Truncated, spliced, replaced and deleted files invent nothing and lose nothing."""
    before = custody.days()
    files = sorted(custody.transcripts.rglob("*.jsonl"), key=lambda path: -path.stat().st_size)
    plan: list[tuple[Callable[[Path], None], int]] = [
        (truncate, 3),
        (splice, 2),
        (replace, 1),
        (delete, 10),
    ]
    remaining = iter(files)
    for change, count in plan:
        for _ in range(count):
            change(next(remaining))
    report = custody.run("pipeline", "--json").data
    assert report["stages"]["sync"]["files_vanished"] == 10
    assert report["custody"]["files_vanished"] == 10
    assert report["custody"]["balanced"] is True
    assert report["custody"]["bytes_on_disk"] == sum(
        path.stat().st_size for path in custody.transcripts.rglob("*.jsonl")
    )
    assert custody.days() == before
    assert custody.run("validate", "--deep", "--json").data["passed"] is True
    assert custody.run("pipeline", "--json").data["nothing_new"] is True
