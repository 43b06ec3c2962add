"""README and the other papers: every command block runs, every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PACKAGES, ROOT, Built, clean_environment

PAPERS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if path.name != "CHANGELOG.md"
)
BLOCK = re.compile(r"(?P<mark><!--[^>]*-->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks() -> list[str]:
    """Return the command blocks that are run here: all but the marked and the first one."""
    found = [match["code"] for match in BLOCK.finditer(README) if not match["mark"]]
    return found[1:]


def test_the_two_commands_come_first() -> None:
    """The first block, in the first screen, is the two commands; the clone check runs them."""
    first = BLOCK.search(README)
    assert first
    assert README[: first.end()].count("\n") <= 20
    commands = [line.split("#")[0].strip() for line in first["code"].splitlines()]
    assert commands == ["make pipeline", "make test"]
    script = (ROOT / ".ci" / "clone-check").read_text(encoding="utf-8")
    assert all(re.search(rf"^{command}\b", script, re.MULTILINE) for command in commands)


@pytest.mark.parametrize("block", _blocks())
def test_every_command_block_runs(block: str, built: Built) -> None:
    """Each block runs as it stands, with `annals` on PATH, on the sample."""
    folder = Path(sys.executable).parent
    environment = clean_environment(built.home)
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    if not (folder / "annals").exists():
        block = re.sub(r"^annals", f"{sys.executable} -m analytics.cli", block, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        cwd=built.home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_it_shows_is_what_the_sample_gives(built: Built) -> None:
    """The table and the custody block of the README are the sample's own."""
    (shown,) = re.findall(r"```text\n(Day .*?)```", README, re.DOTALL)
    days = built.read("usage", "daily", "--json").data["daily"]
    found = {
        (day["date"], part["modelName"]): [
            f"{part['inputTokens']:,}",
            f"{part['outputTokens']:,}",
            f"{part['cacheCreationTokens']:,}",
            f"{part['cacheReadTokens']:,}",
            f"${part['cost']:,.2f}",
        ]
        for day in days
        for part in day["modelBreakdowns"]
        if part["cost"] is not None
    }
    rows = [line.split() for line in shown.splitlines() if line.startswith("20")]
    assert len(rows) >= 2
    assert all(found[row[0], row[1]] == row[2:] for row in rows), found
    custody = shown[shown.index("in custody") :].strip()
    assert custody in built.read("pipeline").out


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(paper: Path) -> None:
    """Every relative link of a paper names a file or folder of the repository."""
    text = paper.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (paper.parent / target).exists(), target


def test_make_targets_that_papers_name_exist() -> None:
    """Every `make x` in README is a target."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) - {"and"} <= targets


def test_architecture_is_short() -> None:
    """ARCHITECTURE.md stays within 250 lines and names every package."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 250
    for package in (*PACKAGES, "dbt", "examples"):
        assert f"`{package}/`" in text


def test_decisions_are_numbered() -> None:
    """Each decision has a number of its own, the same in name and title, and a status."""
    numbers = []
    for path in sorted((ROOT / "docs" / "adr").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        number = int(path.name[:4])
        assert text.startswith(f"# {number}. ")
        assert "\nStatus: " in text
        numbers.append(number)
    assert numbers == list(range(1, len(numbers) + 1))
