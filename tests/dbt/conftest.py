"""The dbt project as dbt itself reads it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from loaders.dbt_project import PROJECT_FOLDER


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Parse the project and return dbt's manifest; no warehouse is opened."""
    from dbt.cli.main import dbtRunner

    folder = tmp_path_factory.mktemp("dbt")
    arguments = ["--quiet", "--log-level-file=none", "--no-send-anonymous-usage-stats", "parse"]
    places = {"project": PROJECT_FOLDER, "profiles": PROJECT_FOLDER}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dbt's own
        result = dbtRunner().invoke(
            [
                *arguments,
                *(f"--{name}-dir={path}" for name, path in places.items()),
                f"--target-path={folder / 'target'}",
                f"--log-path={folder / 'logs'}",
            ]
        )
    assert result.success, result.exception
    return result.result


@pytest.fixture(scope="session")
def models(manifest: Any) -> dict[str, Any]:
    """Return the project's models by name."""
    return {
        node.name: node
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.package_name == "annals"
    }


@pytest.fixture(scope="session")
def sql_files() -> list[Path]:
    """Return every file of SQL in the project that is ours."""
    return sorted(
        path
        for folder in ("models", "macros", "tests")
        for path in (PROJECT_FOLDER / folder).rglob("*.sql")
    )
