"""What others made is read up to a limit; whatever reads without one is listed with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.conftest import PACKAGES, ROOT

LOOKED_AT = (*PACKAGES, "deploy")
WHOLE = {
    *("read_bytes", "read_text", "readlines", "decompress", "copyfileobj", "extractall"),
    *("unpack_archive", "json.load", "yaml.load", "fastavro.reader", "urlopen"),
    *("HTTPConnection", "HTTPSConnection", "fromfile"),
}
ENDLESS = {"read", "read1", "recv"}
ALLOWED = {
    "analytics/cli/reference.py read_text": "the models of the checkout",
    "annals/locks.py read_text": "the kernel's line of a process",
    "annals/prefect_api.py HTTPConnection": "its answers go through read_answer",
    "annals/prefect_api.py HTTPSConnection": "its answers go through read_answer",
    "annals/records/bounds.py decompress": "after its header was compared with the limit",
    "annals/records/document.py decompress": "the bounded one of bounds.py",
    "extractors/lake/avro_files.py decompress": "a piece of STEP_BYTES, nothing of it kept",
    "extractors/lake/avro_files.py fastavro.reader": "after each block was expanded piece by piece",
    "flows/ahead.py recv()": "a message of our own child, through a pipe",
    "flows/ahead_tasks.py recv()": "a message of our own parent, through a pipe",
    "operations/dbt_docs.py read_text": "a page that our own dbt wrote",
    "operations/doctor/machine.py read_text": "a number of the kernel",
    "operations/doctor/state.py read_text": "the kernel's list of mounts",
    "operations/services/asking.py urlopen": "1 MiB of an answer",
    "operations/services/detaching.py read_text": "the words of our own child",
    "operations/services/preflight.py read_text": "the kernel's memory figures",
    "flows/running_services.py read_text": "the kernel's line of a process",
    "flows/prefect/deployments.py read_bytes": "prefect.yaml of the program",
    "flows/prefect/run_variables.py read_bytes": "prefect.yaml of the program",
    "operations/stack/__main__.py read_text": "a file that it writes itself",
    "operations/stack/passwords.py read_text": "the passwords that it wrote, beside the checkout",
    "loaders/dbt_project.py read_bytes": "the program's own models",
    "loaders/memory.py read_text": "figures of the kernel",
    "loaders/price_overlay.py read_bytes": "the shipped prices of our own",
    "loaders/prices.py read_bytes": "the shipped price book",
    "loaders/prices.py read_text": "the shipped price book and its version",
    "sync_agent/agent/wake.py read_text": "the kernel's status of a process",
    "annals/watching/patterns.py read()": "a character class of a pattern, already in memory",
    "sync_agent/agent/units.py read_text": "a unit file of the program",
    "annals/watching/watcher.py read_text": "the kernel's list of mounts",
}


def _reads() -> Iterator[str]:
    for package in LOOKED_AT:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (call := _whole(node)):
                    yield f"{path.relative_to(ROOT).as_posix()} {call}"
                if isinstance(node, ast.IfExp | ast.Assign | ast.AnnAssign):
                    yield from _references(path.relative_to(ROOT).as_posix(), node)


def _references(name: str, node: ast.AST) -> Iterator[str]:
    """Yield the classes that are only named, to be called elsewhere."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Attribute) and child.attr in WHOLE:
            yield f"{name} {child.attr}"


def _whole(node: ast.Call) -> str | None:
    called = ast.unparse(node.func)
    last = called.rpartition(".")[2]
    if called in WHOLE or last in WHOLE:
        return called if called in WHOLE else last
    if last in ENDLESS and "." in called and not node.args and not node.keywords:
        return f"{last}()"
    return None


def test_whatever_reads_without_a_limit_has_a_reason() -> None:
    """A new read of unknown size goes through annals.limits, or is explained here."""
    found = set(_reads())
    assert found - set(ALLOWED) == set()
    assert set(ALLOWED) - found == set()
