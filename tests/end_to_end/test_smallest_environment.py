"""The whole pipeline in the smallest environment, and in one full of other work's options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.generator import write_sample
from tests.conftest import ROOT, Built


def _paths(folder: Path) -> dict[str, str]:
    state = folder / "state"
    return {
        "CLAUDE_DIR": str(folder / "transcripts"),
        "ANNALS_HOME": str(state),
        "SQLITE_PATH": str(state / "buffer.db"),
        "TIMEZONE": "UTC",
    }


def _run(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "analytics.cli", *arguments],
        env={"PYTHONPATH": str(ROOT), **_paths(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def _totals(folder: Path, environment: dict[str, str]) -> object:
    done = _run(folder, environment, "usage", "daily", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["totals"]


def _options_of_dbt() -> dict[str, str]:
    """Return each variable by which dbt takes an option, with a value that changes or breaks it."""
    from dbt.cli.main import cli

    commands = [cli, *cli.commands.values()]
    names = {
        name
        for command in commands
        for option in command.params
        for name in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or [])
    }
    assert {"DBT_ENGINE_EMPTY", "DBT_EMPTY"} & names
    return dict.fromkeys(names, "1") | {name.replace("DBT_ENGINE_", "DBT_"): "1" for name in names}


@pytest.mark.slow
def test_the_pipeline_needs_nothing_but_its_paths(tmp_path: Path, built: Built) -> None:
    """No HOME, no PATH, no locale: the figures are those of every other run."""
    write_sample(tmp_path / "transcripts")
    done = _run(tmp_path, {}, "pipeline", "--json")
    assert done.returncode == 0, done.stderr
    for command in ("doctor", "validate"):
        seen = _run(tmp_path, {}, command)
        assert "unexpected" not in seen.stderr, seen.stderr
    meant = json.loads(built.read("usage", "daily", "--json").out)["totals"]
    assert _totals(tmp_path, {}) == meant


@pytest.mark.slow
def test_options_of_other_work_change_no_figure(tmp_path: Path, built: Built) -> None:
    """Every option of dbt as a variable, Iceberg's files, AWS, Prefect and Python: same figures."""
    write_sample(tmp_path / "transcripts")
    for name in ("dbt_project.yml", "profiles.yml", "prefect.toml", ".pyiceberg.yaml"):
        (tmp_path / name).write_text("[of other: work\n")
    others = _options_of_dbt() | {
        "HOME": str(tmp_path),
        "DBT_TARGET": "snowflake_dev",
        "PYICEBERG_CATALOG__DEFAULT__TYPE": "rest",
        "PYICEBERG_CATALOG__DEFAULT__PY_IO_IMPL": "of.other.Work",
        "PYTHONOPTIMIZE": "2",
        "AWS_PROFILE": "of-other-work",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "PREFECT_HOME": "/of/other/work",
        "LC_ALL": "C",
        "http_proxy": "http://127.0.0.1:1",
    }
    done = _run(tmp_path, others, "pipeline", "--json")
    assert done.returncode == 0, done.stderr
    assert "note: DBT_TARGET" in done.stderr
    meant = json.loads(built.read("usage", "daily", "--json").out)["totals"]
    assert _totals(tmp_path, others) == meant
