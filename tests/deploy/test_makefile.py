"""The Makefile: every target that was promised, each explained, and what they call."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import ROOT

PROMISED = [
    "up",
    "down",
    "restart",
    "status",
    "logs",
    "deploy",
    "run-pipeline",
    "run-backfill",
    "run-adhoc",
    "extract",
    "load",
    "transform",
    "publish",
    "validate",
    "docs",
    "test",
    "check",
    "bench",
    "clean",
    "doctor",
    "shell",
    "backup",
    "restore",
    "up-local",
]


def _make(*arguments: str) -> str:
    """Return what make would do, without what installs."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--assume-old=install", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_every_target_is_there_and_explained() -> None:
    """`make help` has a line for each target of the Makefile, those that were promised included."""
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    explained = re.findall(r"^ {2}make ([a-z-]+) +\S", done.stdout, re.MULTILINE)
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(explained) == set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    assert len(explained) == len(set(explained))
    assert set(PROMISED) <= set(explained)
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\", "").split()) == set(explained)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("logs",), "-m operations.stack logs"),
        (("logs", "SERVICE=metabase"), "-m operations.stack logs metabase"),
        (("restart", "SERVICE=grafana"), "-m operations.stack restart grafana"),
        (("up",), "-m operations.stack up"),
        (("docs",), "-m operations.dbt_docs --build-only"),
        (("extract", "ARGS=--json"), "-m analytics.cli extract --json"),
    ],
)
def test_a_target_calls_what_it_says(arguments: tuple[str, ...], call: str) -> None:
    """Each target is one call; logic is where it is tested."""
    assert any(line.rstrip().endswith(call) for line in _make(*arguments).splitlines())
