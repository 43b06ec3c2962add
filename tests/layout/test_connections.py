"""Every place in the code that opens a connection: judged first, or known to stay here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import PACKAGES, ROOT

OPENERS = {
    "urlopen", "HTTPConnection", "HTTPSConnection", "create_connection", "MongoClient",
    "AsyncMongoClient", "open_client", "load_catalog", "RestCatalog", "PatientCatalog",
    "get_client", "SyncPrefectClient", "PrefectClient", "Client", "AsyncClient", "connect_ex",
    "SMTP", "ClientSession", "FTP", "S3FileSystem", "S3FileIO", "create_engine", "FlightClient",
    "CustomWebhookNotificationBlock", "build_opener", "websocket_connect", "open_connection",
}  # fmt: skip
"""What opens a connection in the standard library and in the libraries that are used here."""

NETWORK_MODULES = {
    "aiohttp", "boto3", "botocore", "ftplib", "httpx", "imaplib", "paramiko", "psycopg", "redis",
    "requests", "smtplib", "telnetlib", "urllib3", "websockets", "xmlrpc", "adbc_driver_manager",
}  # fmt: skip

JUDGED = {
    "annals/lake/waiting.py",
    "annals/mongo/connection.py",
    "extractors/lake/catalog.py",
    "flows/prefect/automations.py",
    "flows/prefect/reaching.py",
    "loaders/lake.py",
    "loaders/object_store.py",
    "sync_agent/agent/pipelines.py",
}
"""Modules that call ``require_allowed`` before they open anything."""

BEHIND = {
    "annals/lake/store.py": "the store of a table that was opened, after open_lake judged",
    "annals/lake/sql_catalog.py": "both callers judge ICEBERG_CATALOG_URI first",
    "annals/prefect_api.py": "called after reach(), `up` or the trigger judged",
    "extractors/mongo.py": "open_client of annals.mongo judges",
    "sync_agent/shipping/mongo.py": "open_client of annals.mongo judges",
    "operations/services/asking.py": "services of `up`: its supervisor judges their places",
    "flows/prefect/deployments.py": "after reach(), which judges",
    "flows/prefect/run_variables.py": "the worker's client, after reach()",
    "flows/prefect/worker.py": "after reach(), which judges",
}
"""Modules that open what another one has judged, and where that is."""


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _opens(tree: ast.Module) -> set[str]:
    """Return what in a module opens connections: calls, names handed on, and network libraries."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and _name(node) in OPENERS:
            found.add(_name(node))
        elif isinstance(node, ast.Import):
            found |= {one.name.split(".")[0] for one in node.names} & NETWORK_MODULES
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {(node.module or "").split(".")[0]} & NETWORK_MODULES
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.lower()
            found |= {one for one in ("httpfs", "temporary secret") if f"load {one}" in text}
    return found


def test_every_connection_is_judged() -> None:
    """A module that can open a connection calls the judge, or is behind one that does."""
    opening = {name: found for name, tree in _sources() if (found := _opens(tree))}
    known = JUDGED | BEHIND.keys()
    assert {name: found for name, found in opening.items() if name not in known} == {}


def test_those_that_judge_do() -> None:
    """Each module of the list calls require_allowed, and the exceptions still open something."""
    for name in JUDGED:
        assert "require_allowed(" in (ROOT / name).read_text(encoding="utf-8"), name
    opening = {name for name, tree in _sources() if _opens(tree)}
    assert BEHIND.keys() <= opening


def test_no_setting_names_a_place_that_is_not_judged() -> None:
    """Each setting that can hold an address is one of those that are judged, or only shown."""
    from annals.settings import Settings
    from annals.settings.destinations import KINDS

    only_shown = {"dbt_docs_url"}
    addresses = {
        name
        for name, field in Settings.model_fields.items()
        if name.endswith(("_uri", "_url", "_endpoint"))
        or any(word in (field.description or "").lower() for word in ("address of", "server"))
    }
    bound_here = {"health_host", "iceberg_catalog_type"}
    assert addresses - only_shown - bound_here - {"aws_region"} <= KINDS.keys() | _named_in_texts()
    assert KINDS.keys() <= addresses


def _named_in_texts() -> set[str]:
    """Return settings whose description speaks of a server that another setting names."""
    return {"prefect_login", "iceberg_warehouse_path", "zombie_seconds", "s3_path_style"}


def test_the_agent_stays_light(tmp_path: Path) -> None:
    """Judging loads nothing beyond the standard library and the settings."""
    import subprocess
    import sys

    code = (
        "import sys, annals.settings.destinations;"
        "print([m for m in ('pymongo','requests','httpx','duckdb','prefect') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", tmp_path
