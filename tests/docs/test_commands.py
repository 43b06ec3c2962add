"""Commands in the running text of the papers: each exists, and those of the runbook run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run, start

PAPERS = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
INLINE = re.compile(r"`(annals [a-z][^`]*|make [a-z][^`]*)`")
ELSEWHERE = {"up", "down"}  # tests/platform/test_up.py
ENDLESS = ["sync", "run"]


def _named(program: str, papers: tuple[Path, ...] = PAPERS) -> list[str]:
    """Return the commands of this program in the running text, each once."""
    fenced = re.compile(r"```.*?```", re.DOTALL)
    texts = (fenced.sub("", path.read_text(encoding="utf-8")) for path in papers)
    found = {match[1] for text in texts for match in INLINE.finditer(text)}
    return sorted(one for one in found if one.startswith(f"{program} "))


@pytest.mark.parametrize("command", _named("annals"))
def test_a_command_of_the_papers_exists(command: str, in_process: Run) -> None:
    """Its name and its options are those of the program."""
    assert in_process(*shlex.split(command)[1:], "--help").code == 0


def test_a_target_of_the_papers_exists() -> None:
    """Each `make` of the running text is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {target for one in _named("make") for target in one.split()[1].split("|")}
    assert named
    assert named <= targets, named - targets


@pytest.mark.parametrize(
    "command",
    [
        words
        for words in map(shlex.split, _named("annals", (ROOT / "docs" / "operations.md",)))
        if words[1] not in ELSEWHERE and words[1:3] != ENDLESS
    ],
    ids=" ".join,
)
def test_a_command_of_the_runbook_runs(command: list[str], place: Path) -> None:
    """What the runbook says to do can be done, on a machine where all is well."""
    done = start(*command[1:], home=place, cwd=place)
    assert done.code in ((0, 5) if command[1] == "doctor" else (0,)), done.err
