"""docs/operations.md and docs/upgrade.md run as written; every alert has its page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

BLOCK = re.compile(r"(?P<mark><!--[^>]*-->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)
PAPERS = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("operations", "upgrade")}
ALERTS = ROOT / "deploy" / "observability" / "alerts.yml"


def _blocks() -> list[tuple[str, str]]:
    return [
        (name, match["code"])
        for name, text in PAPERS.items()
        for match in BLOCK.finditer(text)
        if not match["mark"]
    ]


@pytest.mark.parametrize(
    ("paper", "block"), _blocks(), ids=lambda text: text.split("#")[0].split("\n")[0].strip()[:40]
)
def test_every_command_block_runs(paper: str, block: str, place: Path) -> None:
    """Each block that is not marked runs as it stands, one after the other."""
    environment = clean_environment(place)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if block.startswith("annals doctor") or "\nannals doctor" in block:
        assert done.returncode in (0, 5), done.stderr  # 5: this machine lacks something
    else:
        assert done.returncode == 0, (paper, done.stderr)


def test_every_block_that_is_not_run_says_why() -> None:
    """A mark names the test that runs the same, or what is needed."""
    marks = [match["mark"] for text in PAPERS.values() for match in BLOCK.finditer(text)]
    for mark in filter(None, marks):
        assert re.fullmatch(r"<!-- not run here: .{10,} -->\n", mark), mark
        for path in re.findall(r"(?:tests|docs)/[\w/]+\.(?:py|md)", mark):
            assert (ROOT / path).exists(), path


def test_every_alert_has_a_section() -> None:
    """Each alert of Prometheus and each automation of Prefect has a heading of its name."""
    headings = set(re.findall(r"^### (.+)$", PAPERS["operations"], re.MULTILINE))
    automations = (ROOT / "flows" / "prefect" / "automations.py").read_text(encoding="utf-8")
    names = set(re.findall(r'^[A-Z]+ = "(annals: .+)"$', automations, re.MULTILINE))
    assert names
    if ALERTS.exists():
        names |= set(re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8")))
    assert names <= headings, names - headings
