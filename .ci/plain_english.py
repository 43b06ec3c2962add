#!/usr/bin/env python3
"""Measure the language of code and papers; fail if it gets worse (CONTRIBUTING.md).

The limits may only fall. Tests, generated pages and the history of changes are not measured.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHRASES = (
    *("is no", "are no", "anew", "whoever", "for ever", "is told", "are told", "tells of"),
    *("stands in", "at work", "where nobody", "in the way"),
)
MOST_PHRASES = 40
MOST_ONE_WORD_NAMES = 0.45
PACKAGES = (
    *("analytics", "operations", "flows", "reports", "sync_agent", "extractors", "loaders"),
    "annals",
)
KINDS = {".py", ".md", ".sql", ".yml", ".yaml", ".toml", ".sh", ""}
LEFT_OUT = ("tests/", "requirements/", "examples/transcripts/", "docs/reference/", "CHANGELOG.md")


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [
        name
        for name in listed.stdout.splitlines()
        if not name.startswith((*LEFT_OUT, ".ci/")) and Path(name).suffix in KINDS
    ]


def _phrases() -> list[str]:
    wanted = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)
    found = []
    for name in _files():
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        found += [f"{name}: {match.group()}" for match in wanted.finditer(text)]
    return found


def _names() -> list[str]:
    return [
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_")
    ]


def main() -> int:
    """Print both measures; return 1 if one is above its limit."""
    found, names = _phrases(), _names()
    share = sum("_" not in name.strip("_") for name in names) / len(names)
    print(f"plain English: {len(found)} listed phrases (limit {MOST_PHRASES}),")
    print(f"  {share:.1%} one-word names of public functions (limit {MOST_ONE_WORD_NAMES:.0%})")
    if len(found) > MOST_PHRASES:
        print("\n".join(found), file=sys.stderr)
    return int(len(found) > MOST_PHRASES or share > MOST_ONE_WORD_NAMES)


if __name__ == "__main__":
    sys.exit(main())
