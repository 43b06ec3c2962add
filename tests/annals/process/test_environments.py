"""Variables and files of other work reach neither our programs nor the tools below them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annals.process import environments
from annals.process.environments import (
    CERTIFICATES,
    OURS,
    child_environment,
    is_foreign,
    module_command,
    own_variables,
    tool_environment,
    work_folder,
)
from annals.settings import Settings, load_settings
from annals.settings.stack import StackSettings
from operations.doctor.trust import settings_found
from tests.conftest import ROOT, clean_environment

OTHER_WORK = (
    "DBT_EMPTY",
    "DBT_ENGINE_SAMPLE",
    "dbt_defer",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_AUTH_STRING",
    "prefect_home",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "PYICEBERG_HOME",
    "PYICEBERG_CATALOG__DEFAULT__URI",
    "PYICEBERG_CATALOG__DEFAULT__S3__ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_DEFAULT_REGION",
    "DUCKDB_HOME",
    "MOTHERDUCK_TOKEN",
    "UVICORN_ROOT_PATH",
    "COMPOSE_PROJECT_NAME",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PGHOSTADDR",
    "PGSERVICEFILE",
    "SSLKEYLOGFILE",
    "https_proxy",
    "WSS_PROXY",
)


@pytest.mark.parametrize("name", OTHER_WORK)
def test_a_variable_of_other_work_reaches_no_process(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a child of ours nor a tool gets it, nor a library that runs in this process."""
    monkeypatch.setenv(name, "/other/work")
    assert child_environment().get(name) != "/other/work"
    assert name not in tool_environment()
    with own_variables({"DBT_ADDED": "1"}):
        assert name not in os.environ
        assert os.environ["DBT_ADDED"] == "1"
    assert os.environ[name] == "/other/work"
    assert "DBT_ADDED" not in os.environ


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_that_cannot_be_read_reach_no_process(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Prefect's server did not start with a bundle that is gone; one that is there is kept."""
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv(name, str(bundle))
    assert name not in child_environment()
    assert name not in tool_environment()
    monkeypatch.setattr(environments, "_removed", {name})
    assert any(name in one.says for one in settings_found(load_settings()))
    bundle.touch()
    assert child_environment()[name] == str(bundle)


@pytest.mark.parametrize("name", sorted({*Settings.model_fields, *StackSettings.model_fields}))
def test_a_setting_is_ours(name: str) -> None:
    """No setting that we document counts as one of other work."""
    value = "dev" if name == "dbt_target" else "x"
    assert not is_foreign(name.upper(), value)
    assert not is_foreign(name, value)


def test_what_is_listed_as_ours_is_a_setting() -> None:
    """The list holds documented settings and the stack's two addresses, and no more."""
    known = {name.upper() for name in {*Settings.model_fields, *StackSettings.model_fields}}
    assert OURS - known == {"PREFECT_UI_API_URL", "PREFECT_UI_URL"}


def test_what_a_catalog_needs_is_kept() -> None:
    """Token and warehouse of a REST catalog are documented for Iceberg's own variables."""
    assert not is_foreign("PYICEBERG_CATALOG__DEFAULT__TOKEN")
    assert not is_foreign("PYICEBERG_CATALOG__MY_LAKE__WAREHOUSE")


def test_a_process_of_ours_trusts_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we set for a child it hands on; nothing of it is removed again."""
    for name, value in child_environment({"PREFECT_HOME": "/ours"}).items():
        monkeypatch.setenv(name, value)
    assert child_environment()["PREFECT_HOME"] == "/ours"


def test_packages_of_the_working_folder_are_not_imported(tmp_path: Path) -> None:
    """A child of ours imports ours, though packages of the same names lie all around it."""
    for name in ("analytics", "flows", "dbt", "prefect", "typing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(66)\n")
    environment = child_environment(clean_environment(tmp_path))
    environment["PYTHONPATH"] = str(environments.ROOT)
    done = subprocess.run(
        module_command("analytics.cli", "version", "--json"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_what_a_library_starts_imports_nothing_from_the_working_folder(tmp_path: Path) -> None:
    """A process begun with ``python -c`` by a library finds no module beside the user's files."""
    for name in ("contextlib", "threading", "json", "signal"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    program = tmp_path / "bin" / "program.py"
    program.parent.mkdir()
    program.write_text(
        "from annals.process.environments import own_variables, prepare_environment\n"
        "prepare_environment()\n"
        "import subprocess, sys\n"
        "from multiprocessing import resource_tracker\n"
        "with own_variables():\n"
        "    resource_tracker.ensure_running()\n"
        "    resource_tracker.register('/x', 'noop')\n"
        "    subprocess.run([sys.executable, '-c', 'import json'])\n"
    )
    environment = clean_environment(tmp_path)
    environment.pop(environments.MARK, None)
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, program], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mark").exists()


def test_packages_in_pythonpath_do_not_replace_ours(tmp_path: Path) -> None:
    """A command goes on with our packages where PYTHONPATH has others of the same names."""
    for name in (
        "analytics",
        "operations",
        "flows",
        "reports",
        "sync_agent",
        "extractors",
        "loaders",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(66)\n")
    code = (
        "import sys; from annals.process.environments import prepare_environment;"
        "prepare_environment(); import flows, loaders; print(flows.__file__)"
    )
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop(environments.MARK, None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(ROOT / "flows" / "__init__.py"), done.stderr


def test_children_start_in_a_private_folder_of_ours(tmp_path: Path) -> None:
    """The folder lies below ANNALS_HOME and is the user's alone."""
    folder = work_folder(tmp_path / "annals")
    assert folder.is_relative_to(tmp_path / "annals")
    assert folder.stat().st_mode & 0o077 == 0
    assert work_folder(tmp_path / "annals") == folder
