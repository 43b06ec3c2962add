"""Who imports whom: import-linter's contracts, and their twins at run time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment

HEAVY = {"pyiceberg", "pyarrow", "duckdb", "dbt", "sqlalchemy", "prefect", "pymongo", "rich"}


def _loaded(code: str, home: Path) -> set[str]:
    """Return the names of all modules that are loaded after ``code`` ran in a fresh process."""
    report = "\nimport json, sys\nsys.stderr.write('LOADED' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.split("LOADED")[-1]))


def _packages(loaded: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in loaded}


def _command(*arguments: str) -> str:
    return f"from analytics.cli.app import run\nrun({list(arguments)!r})"


@pytest.mark.slow
def test_the_contracts_hold() -> None:
    """Import-linter keeps every contract of pyproject.toml."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("pyiceberg", {"annals.lake", "extractors.lake", "loaders.lake"}),
        ("duckdb", {"loaders.warehouse", "loaders.warehouse_errors", "loaders.file_probes"}),
        ("dbt", {"loaders.dbt_project", "loaders.brisk_dbt"}),
        ("prefect", {"flows.prefect"}),
        (
            "pymongo",
            {"annals.mongo"},
        ),
    ],
)
def test_a_library_has_its_only_importers(library: str, allowed: set[str]) -> None:
    """A contract protects each large library: only the named modules import it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        linter = tomllib.load(file)["tool"]["importlinter"]
    (contract,) = (
        one for one in linter["contracts"] if library in one.get("protected_modules", ())
    )
    assert set(contract["allowed_importers"]) == allowed
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"examples", "tests"}
    assert folders <= set(linter["root_packages"]) | {"benchmarks", "deploy"}


def test_help_loads_nothing_heavy(home: Path) -> None:
    """``--help`` loads no settings, no stage and no library but the parser."""
    loaded = _loaded(_command("--help"), home)
    assert _packages(loaded).isdisjoint(HEAVY | {"pydantic", "structlog", "msgspec"})
    stages = {"sync_agent", "extractors", "loaders", "flows", "annals.settings.model"}
    assert loaded.isdisjoint(stages)


def test_a_report_loads_duckdb_and_nothing_else_heavy(home: Path) -> None:
    """``usage daily`` reads the build with DuckDB alone: no lake, no dbt, no Arrow."""
    loaded = _loaded(_command("usage", "daily"), home)
    assert "duckdb" in loaded
    assert _packages(loaded).isdisjoint(HEAVY - {"duckdb"})
    assert _packages(loaded).isdisjoint({"structlog", "msgspec", "genai_prices", "sync_agent"})


def test_a_stage_loads_no_prefect_where_it_is_not_asked_for(home: Path) -> None:
    """Without PREFECT_API_URL and --prefect a stage command is a plain function."""
    loaded = _loaded(_command("load"), home)
    assert "flows.stages" in loaded
    assert _packages(loaded).isdisjoint({"prefect"})


def test_the_sync_agent_stays_small(home: Path) -> None:
    """Reading transcripts loads none of the lake, the warehouse or the orchestration."""
    loaded = _loaded(
        "import sync_agent.agent.once, sync_agent.reading.ledger, sync_agent.buffer.buffer_reader",
        home,
    )
    assert _packages(loaded).isdisjoint(HEAVY)
    assert _packages(loaded).isdisjoint({"extractors", "loaders", "flows", "operations", "reports"})


def test_the_shipper_loads_the_driver_and_nothing_else_heavy(home: Path) -> None:
    """Shipping adds the driver to the agent, and none of lake, warehouse or orchestration."""
    loaded = _loaded("import sync_agent.shipping.shipper, sync_agent.agent.shipment", home)
    assert "pymongo" in loaded
    assert _packages(loaded).isdisjoint(HEAVY - {"pymongo"})
    assert _packages(loaded).isdisjoint({"extractors", "loaders", "flows", "operations", "reports"})


def test_without_a_server_the_driver_is_not_loaded(home: Path) -> None:
    """Where MONGO_URI is not set, neither agent nor pipeline load the driver."""
    loaded = _loaded("import sync_agent.agent.once, flows.stages, extractors.extract", home)
    assert _packages(loaded).isdisjoint({"pymongo", "bson", "gridfs"})


_STOP_ONCE_STARTED = """
import os, signal, threading, time
def stop_once_started():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.05)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=stop_once_started, daemon=True).start()
"""
"""Ends the agent a second after it has begun to handle signals, however slow the machine is."""


def test_the_running_agent_stays_small(home: Path) -> None:
    """W-45 ``sync run``, all its threads started, has loaded no stage and no library of theirs."""
    (home / "projects" / "-a").mkdir(parents=True)
    (home / "projects" / "-a" / "1.jsonl").write_text('{"type":"user"}\n')
    command = _command("sync", "run", "--claude-dir", "projects")
    loaded = _loaded(_STOP_ONCE_STARTED + command, home)
    assert {"sync_agent.agent.health", "sync_agent.reading.root"} <= loaded
    assert loaded.isdisjoint({"sync_agent.agent.trigger", "sync_agent.agent.pipelines"})
    forbidden = {"prefect", "duckdb", "pyiceberg", "pyarrow", "dbt", "pandas", "numpy", "pymongo"}
    assert _packages(loaded).isdisjoint(
        forbidden | {"extractors", "loaders", "flows", "operations", "reports", "watchfiles"}
    )


def test_asking_for_pipelines_loads_no_client(home: Path) -> None:
    """With PIPELINE_TRIGGER=prefect the agent speaks HTTP with what it has: no client, no stage."""
    (home / "projects").mkdir()
    ending = _STOP_ONCE_STARTED + "os.environ['PIPELINE_TRIGGER'] = 'prefect'\n"
    ending += "os.environ['PREFECT_API_URL'] = 'http://127.0.0.1:9/api'\n"
    ending += "os.environ |= {'PIPELINE_DEBOUNCE_S': '0', 'LOG_LEVEL': 'error'}\n"
    loaded = _loaded(ending + _command("sync", "run", "--claude-dir", "projects"), home)
    assert "sync_agent.agent.trigger" in loaded
    assert _packages(loaded).isdisjoint(HEAVY | {"httpx", "requests", "urllib3"})
    assert _packages(loaded).isdisjoint({"extractors", "loaders", "flows", "operations", "reports"})


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("annals.errors", {"annals.settings", "annals.records", "pydantic"}),
        ("extractors.extract", {"duckdb", "dbt", "loaders", "sync_agent"}),
        ("loaders.publish", {"pyiceberg", "dbt", "extractors", "sync_agent"}),
        ("loaders.load", {"pyiceberg", "dbt", "extractors", "sync_agent"}),
        ("loaders.transform", {"dbt", "extractors", "sync_agent"}),
        ("flows.stages", {"pyiceberg", "duckdb", "dbt", "prefect"}),
    ],
)
def test_a_module_loads_only_its_own_side(module: str, forbidden: set[str], home: Path) -> None:
    """Importing a module loads neither a sibling nor a library that is another's business."""
    assert _loaded(f"import {module}", home).isdisjoint(forbidden)
