"""Plain dbt on a loaded warehouse: every model, every test, every unit test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.generator import write_hazards
from extractors.extract import extract
from loaders.dbt_project import PROJECT_FOLDER
from loaders.load import load
from sync_agent.agent.once import sync_once
from tests.accuracy.conftest import settings_in
from tests.conftest import clean_environment


def dbt(command: str, home: Path, warehouse: Path, **changes: str) -> list[dict[str, Any]]:
    """Run dbt as a user does, in the project's folder; return what became of each node."""
    places = ("--target-path", str(home / "target"), "--log-path", str(home / "logs"))
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "--quiet", command, *places],
        cwd=PROJECT_FOLDER,
        env=clean_environment(home, DUCKDB_PATH=str(warehouse), **changes),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    results: list[dict[str, Any]]
    results = json.loads((home / "target" / "run_results.json").read_text())["results"]
    return results


@pytest.mark.slow
def test_dbt_build_succeeds_on_hazards(tmp_path: Path) -> None:
    """Built again with all tests, then on top of itself for the other target."""
    write_hazards(tmp_path / "projects")
    settings = settings_in(tmp_path)
    for stage in (sync_once, extract, load):
        stage(settings)
    results = dbt("build", tmp_path, settings.warehouse_file)
    kinds = Counter(result["unique_id"].partition(".")[0] for result in results)
    assert kinds["model"] == 20
    assert kinds["unit_test"] >= 11
    assert kinds["test"] >= 50
    again = dbt("run", tmp_path, settings.warehouse_file, DBT_TARGET="prod")
    assert {result["status"] for result in (*results, *again)} <= {"success", "pass", "no-op"}
