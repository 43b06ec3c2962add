"""Transform: what is pending is built, a change of rules builds everything, a crash is repaired."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annals.errors import LockedError, QualityError, WarehouseError
from annals.settings import Settings
from loaders import dbt_project, warehouse
from loaders.load import load
from loaders.transform import GOLD_REVISION, TransformReport, transform

REPOSITORY = Path(__file__).parents[2]


def _responses(settings: Settings) -> list[Any]:
    with warehouse.connect(settings) as connection:
        return connection.execute(
            "select response_key, session_id from gold.fct_api_responses order by all"
        ).fetchall()


def _state(settings: Settings, key: str) -> str | None:
    with warehouse.connect(settings) as connection:
        return warehouse.state(connection, key)


@dataclass(frozen=True, slots=True)
class Built:
    """A lake that is loaded and built once, with the project it was built by."""

    settings: Settings
    lake: Any
    project: Path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_lake: type) -> Path:
    """Build once, in a folder that every test gets back as it was; paths in it are absolute."""
    place = tmp_path_factory.mktemp("built") / "place"
    project = Path(shutil.copytree(Path(__file__).parent / "small_dbt", place / "project"))
    settings = _settings(place)
    lake = make_lake(settings)
    lake.append(lake.entry("s1", {"key": "a"}), lake.entry("s2", {"key": "b"}))
    load(settings)
    transform(settings, project=project)
    shutil.copytree(place, place.with_name("kept"))
    return place


def _settings(place: Path) -> Settings:
    return Settings(
        _env_file=None,
        annals_home=place / "annals",
        sqlite_path=place / "buffer.db",
        timezone="Europe/Berlin",
    )


@pytest.fixture
def built(template: Path, make_lake: type) -> Built:
    """Return a lake that is loaded and built once, fresh for this test."""
    shutil.rmtree(template)
    shutil.copytree(template.with_name("kept"), template)
    settings = _settings(template)
    return Built(settings, make_lake(settings, first_seq=100), template / "project")


def test_first_build_runs_everything(settings: Settings, lake: Any, small_dbt: Path) -> None:
    """The first build is a full one and clears what was pending."""
    lake.append(lake.entry("s1", {"key": "a"}), lake.entry("s2", {"key": "b"}))
    load(settings)
    report = transform(settings, project=small_dbt)
    assert (report.models_built, report.tests_run) == (3, 0)
    assert (report.sessions_rebuilt, report.rows_scanned, report.full_refresh) == (2, 2, True)
    assert _responses(settings) == [("a", "s1"), ("b", "s2")]
    assert load(settings).sessions_pending == 0


def test_nothing_pending_builds_nothing(built: Built) -> None:
    """Where nothing is pending no model is built and gold keeps its revision."""
    revision = _state(built.settings, GOLD_REVISION)
    assert transform(built.settings, project=built.project) == TransformReport(
        0, 0, 0, 0, full_refresh=False, seconds=0.0
    )
    assert _state(built.settings, GOLD_REVISION) == revision


def test_nothing_pending_imports_no_dbt(built: Built) -> None:
    """Where nothing is pending, dbt is not even imported."""
    code = (
        "import sys; from pathlib import Path; from annals.settings import Settings;"
        "from loaders.load import load; from loaders.transform import transform;"
        "s = Settings(_env_file=None, annals_home=sys.argv[1], timezone='Europe/Berlin');"
        "load(s); print(transform(s, project=Path(sys.argv[2])).models_built);"
        "print([m for m in ('dbt', 'pyiceberg', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, built.settings.annals_home, built.project],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n[]\n"


def test_a_batch_builds_only_its_sessions(built: Built) -> None:
    """A second batch scans only its rows and rebuilds only its session."""
    built.lake.append(built.lake.entry("s2", {"key": "c"}))
    load(built.settings)
    report = transform(built.settings, project=built.project)
    assert (report.models_built, report.tests_run) == (3, 0)
    assert (report.sessions_rebuilt, report.rows_scanned, report.full_refresh) == (1, 1, False)
    assert _responses(built.settings) == [("a", "s1"), ("b", "s2"), ("c", "s2")]


def test_tests_run_when_asked_for(built: Built) -> None:
    """Tests run with a batch, or with nothing pending, where the caller wants them."""
    built.lake.append(built.lake.entry("s2", {"key": "c"}))
    load(built.settings)
    assert transform(built.settings, project=built.project, run_tests=True).tests_run == 1
    again = transform(built.settings, project=built.project, run_tests=True)
    assert (again.models_built, again.tests_run) == (0, 1)


def test_another_time_zone_builds_everything(built: Built) -> None:
    """Days depend on the zone, so another zone is a full build."""
    moved = built.settings.model_copy(update={"timezone": "America/New_York"})
    assert transform(moved, project=built.project).full_refresh
    with warehouse.connect(moved) as connection:
        rows = connection.execute("select distinct timezone from gold.dim_sessions").fetchall()
    assert rows == [("America/New_York",)]


def test_another_project_builds_everything(built: Built) -> None:
    """A changed model is a full build; a table whose model is gone goes too."""
    (built.project / "models" / "gold" / "dim_sessions.sql").unlink()
    assert transform(built.settings, project=built.project).full_refresh
    with warehouse.connect(built.settings) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'gold'"
        ).fetchall()
    assert tables == [("fct_api_responses",)]


def test_other_prices_build_everything(built: Built, tmp_path: Path) -> None:
    """Costs depend on the prices, so another price is a full build."""
    path = tmp_path / "prices.csv"
    path.write_text(
        "model_pattern,valid_from,valid_to,input,output,cache_write_5m,cache_write_1h,"
        "cache_read,web_search,source\nx*,,,1,2,,,,,mine\n"
    )
    priced = built.settings.model_copy(update={"prices_csv": path})
    assert transform(priced, project=built.project).full_refresh
    assert not transform(priced, project=built.project).full_refresh


def test_full_refresh_gives_the_same(built: Built) -> None:
    """A full refresh on demand reads all rows of the lake and ends with the same gold."""
    before = _responses(built.settings)
    report = transform(built.settings, project=built.project, full_refresh=True)
    assert (report.full_refresh, report.rows_scanned, report.sessions_rebuilt) == (True, 2, 2)
    assert _responses(built.settings) == before


def test_lost_data_files_build_everything(built: Built) -> None:
    """After a rollback of the lake gold shows what the lake shows."""
    older = built.lake.head()
    built.lake.append(built.lake.entry("s3", {"key": "d"}))
    load(built.settings)
    transform(built.settings, project=built.project)
    built.lake.rollback(older)
    load(built.settings)
    assert transform(built.settings, project=built.project).full_refresh
    assert _responses(built.settings) == [("a", "s1"), ("b", "s2")]
    assert transform(built.settings, project=built.project).models_built == 0


def test_empty_lake_builds_empty_tables(settings: Settings, small_dbt: Path) -> None:
    """Without any lake the tables are there and empty."""
    load(settings)
    assert transform(settings, project=small_dbt).models_built == 3
    assert _responses(settings) == []


def _break(project: Path, sql: str) -> None:
    (project / "models" / "gold" / "dim_sessions.sql").write_text(sql)


def test_failing_model_is_named(built: Built, capfd: pytest.CaptureFixture[str]) -> None:
    """A model that fails is named with DuckDB's message, without the data; nothing is printed."""
    built.lake.append(built.lake.entry("s3", {"key": "secret words"}))
    load(built.settings)
    _break(
        built.project,
        "{{ config(materialized='table') }} select cast(key as integer) as x"
        " from {{ ref('stg_entries') }}",
    )
    with pytest.raises(
        WarehouseError, match=r"the model dim_sessions \(models/gold/dim_sessions.sql\) failed"
    ) as caught:
        transform(built.settings, project=built.project)
    assert "Conversion Error" in caught.value.message
    assert "secret" not in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_failed_build_is_repaired_by_the_next(built: Built) -> None:
    """After a failure everything is still pending, and the next run ends with the right gold."""
    whole = (built.project / "models" / "gold" / "dim_sessions.sql").read_text()
    built.lake.append(built.lake.entry("s3", {"key": "d"}))
    load(built.settings)
    revision = _state(built.settings, GOLD_REVISION)
    _break(built.project, "{{ config(materialized='table') }} select * from no_such_table")
    with pytest.raises(WarehouseError, match="no_such_table"):
        transform(built.settings, project=built.project)
    assert _state(built.settings, GOLD_REVISION) == revision
    _break(built.project, whole)
    assert transform(built.settings, project=built.project).full_refresh
    assert _responses(built.settings) == [("a", "s1"), ("b", "s2"), ("d", "s3")]


def test_failing_test_is_a_quality_error(settings: Settings, lake: Any, small_dbt: Path) -> None:
    """A test that fails is named, with exit code 5, and what was pending stays so."""
    lake.append(lake.entry("s1", {"key": "a"}), lake.entry("s2", {"key": "a"}))
    load(settings)
    with pytest.raises(QualityError, match="unique_fct_api_responses_response_key") as caught:
        transform(settings, project=small_dbt, run_tests=True)
    assert caught.value.exit_code == 5
    assert _state(settings, GOLD_REVISION) is None
    assert load(settings).sessions_pending == 2


def test_broken_project_is_explained(built: Built) -> None:
    """A project that dbt cannot read is an error with dbt's words."""
    _break(built.project, "select * from {{ ref('nowhere') }}")
    with pytest.raises(WarehouseError, match="nowhere"):
        transform(built.settings, project=built.project)


def test_killed_full_build_is_begun_anew(built: Built) -> None:
    """A full build that was killed after it began is followed by another full build."""
    with warehouse.connect(built.settings) as connection:
        warehouse.set_state(connection, warehouse.REBUILD, "a full build was begun")
        warehouse.drop_layers(connection)
    assert transform(built.settings, project=built.project).full_refresh
    assert _responses(built.settings) == [("a", "s1"), ("b", "s2")]


def test_environment_is_as_before(
    settings: Settings, small_dbt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run leaves the process's environment as it was."""
    monkeypatch.setenv("DUCKDB_PATH", "somewhere")
    monkeypatch.delenv("DUCKDB_THREADS", raising=False)
    before = dict(os.environ)
    load(settings)
    transform(settings, project=small_dbt)
    assert dict(os.environ) == before


def test_project_folder_stays_clean(built: Built) -> None:
    """Artefacts of dbt lie below the state folder, never into the project."""
    original = Path(__file__).parent / "small_dbt"
    assert sorted(path.relative_to(built.project) for path in built.project.rglob("*")) == sorted(
        path.relative_to(original) for path in original.rglob("*")
    )
    assert (built.settings.annals_home / "dbt" / "target" / "partial_parse.msgpack").exists()


def test_warehouse_held_elsewhere_is_locked(built: Built) -> None:
    """A warehouse that another process holds open is exit 7."""
    code = (
        "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, built.settings.warehouse_file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LockedError):
            transform(built.settings, project=built.project)
        process.kill()


def test_hash_sees_every_source_and_no_artefact(small_dbt: Path) -> None:
    """The project's hash changes with its models and macros, not with target or logs."""
    before = dbt_project.project_hash(small_dbt)
    (small_dbt / "target").mkdir()
    (small_dbt / "target" / "x.sql").write_text("select 1")
    assert dbt_project.project_hash(small_dbt) == before
    (small_dbt / "macros" / "x.sql").write_text("{% macro x() %}{% endmacro %}")
    assert dbt_project.project_hash(small_dbt) != before
    shutil.rmtree(small_dbt / "target")
