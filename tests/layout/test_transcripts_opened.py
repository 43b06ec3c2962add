"""Transcripts and their folders are opened in one module, which follows no link."""

from __future__ import annotations

import ast

from tests.conftest import ROOT

READERS = {"open", "os.open", "io.open", "os.scandir", "os.listdir", "os.walk"}
METHODS = {"open", "read_bytes", "read_text", "iterdir", "rglob", "glob"}
PLACES = {
    "sync_agent/reading/paths.py": "lists the descriptor that annals.records.opening opened",
    "sync_agent/agent/units.py": "a unit file that is shipped with the program",
    "sync_agent/agent/wake.py": "the kernel's status of a process",
    "sync_agent/buffer/legacy_file.py": "the folder of the original service's database",
    "sync_agent/buffer/salvage.py": "a folder of the state, to make it durable",
    "sync_agent/agent/installing.py": "O_EXCL in the folder of a service manager",
    "annals/records/opening.py": "the one module",
}


def _opens(node: ast.Call) -> bool:
    called = ast.unparse(node.func)
    return called in READERS or called.rpartition(".")[2] in METHODS


def test_no_other_module_opens_transcripts() -> None:
    """R-41 Whatever the agent and the records' own package open is listed with its reason."""
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("sync_agent", "annals/records")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _opens(node)
    }
    assert found == set(PLACES)
