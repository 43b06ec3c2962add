"""The notebook's API: a published build as tables, Arrow and pandas."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import analytics
from analytics.notebook import Build
from annals.errors import UsageError, WarehouseError
from tests.conftest import Built, clean_environment


@pytest.fixture
def build(built: Built, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Open the build of the sample as a notebook would."""
    monkeypatch.setenv("HOME", str(built.home))
    with analytics.open() as found:
        yield found


def test_a_table_is_what_the_command_says(build: Build, built: Built) -> None:
    """The sum over the rows of gold is the total of the report, to the last nano-dollar."""
    frame = build.table("fct_api_responses").to_pandas()
    report = built.read("usage", "daily", "--json").data
    assert len(frame) == report["quality"]["responses"] == len(build.table("fct_api_responses"))
    assert float(frame["cost_usd"].dropna().sum()) == pytest.approx(report["totals"]["totalCost"])
    assert int(frame["total_tokens"].sum()) == report["totals"]["totalTokens"]


def test_values_keep_their_kind(build: Build) -> None:
    """Money is Decimal or float by choice, missing integers stay integers, instants have a zone."""
    rows = build.table("fct_api_responses")
    exact, rough = rows.to_pandas(), rows.to_pandas(money="float")
    assert isinstance(exact["cost_usd"].dropna().iloc[0], Decimal)
    assert str(rough["cost_usd"].dtype) == "float64"
    assert str(exact["cost_nano_usd"].dtype) == "Int64"
    assert exact["cost_nano_usd"].isna().any()
    assert str(exact["occurred_at"].dt.tz) == "UTC"
    assert exact["is_priced"].dtype == "boolean"
    with pytest.raises(UsageError, match="decimal or float"):
        rows.to_pandas(money="cents")  # type: ignore[arg-type]


def test_a_query_takes_parameters(build: Build) -> None:
    """SQL of DuckDB, with values apart from the text."""
    rows = build.sql("select count(*) as n from gold.dim_sessions where session_id <> ?", ["x"])
    assert rows.to_arrow()["n"].to_pylist() == [len(build.table("gold.dim_sessions"))]


def test_entries_are_the_bytes_of_the_transcripts(build: Build) -> None:
    """The entries of one session, named by how its id begins, each once and in order."""
    (session,) = build.sql("select session_id from gold.dim_sessions limit 1").arrow["session_id"]
    entries = build.entries(session=session.as_py()[:8]).to_arrow()
    assert set(entries["session_id"].to_pylist()) == {session.as_py()}
    assert entries.num_rows == len(set(entries["entry_id"].to_pylist())) > 0
    assert entries.num_rows < build.entries().to_arrow().num_rows
    with pytest.raises(UsageError, match="no session id begins with 'zzz'"):
        build.entries(session="zzz")
    with pytest.raises(UsageError, match="beginning of"):
        build.entries(session="")


def test_what_is_not_there_is_named(build: Build, tmp_path: Path) -> None:
    """A table, a build, a day before all builds, nonsense: each says what there is."""
    with pytest.raises(UsageError) as refused:
        build.table("fct_costs")
    assert "gold.fct_api_responses" in refused.value.hint
    with pytest.raises(UsageError, match="there is no build"):
        analytics.open(tmp_path)
    with pytest.raises(UsageError, match="older states cannot be queried yet") as refused:
        analytics.open(as_of=date(2020, 1, 1))
    assert "Kept builds are of 20" in refused.value.hint
    with pytest.raises(UsageError, match="is not a day"):
        analytics.open(as_of="soon")
    with pytest.raises(UsageError, match="exclude each other"):
        analytics.open("b", as_of="2026-01-31")


def test_as_of_picks_among_the_kept_builds(build: Build) -> None:
    """The newest one that was made by then; a day counts to its end."""
    (now,) = build.sql("select build_id from meta.build").arrow["build_id"].to_pylist()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for moment in (tomorrow, tomorrow.date(), tomorrow.isoformat(), tomorrow.replace(tzinfo=None)):
        with analytics.open(as_of=moment) as found:
            assert found.sql("select build_id from meta.build").arrow["build_id"][0].as_py() == now
    with analytics.open(now) as found:
        assert len(found.table("dim_sessions")) == len(build.table("dim_sessions"))


def test_a_copied_build_opens_anywhere(build: Build, tmp_path: Path) -> None:
    """Its views name the files beside it, not those of the place that it came from."""
    published = Path.home() / ".annals" / "sample" / "published"
    copy = Path(shutil.copytree(published / "current", tmp_path / "copy"))
    with analytics.open(copy) as found:
        assert found.tables == build.tables
        assert len(found.table("fct_api_responses")) == len(build.table("fct_api_responses"))


def test_without_a_build_it_says_how_to_make_one() -> None:
    """On a new machine the error names the command."""
    with pytest.raises(WarehouseError) as refused:
        analytics.open()
    assert "annals pipeline" in refused.value.hint


def test_pandas_is_loaded_for_a_frame_alone(home: Path) -> None:
    """Neither the package nor an Arrow table loads it."""
    code = "import sys, analytics, analytics.notebook; sys.exit('pandas' in sys.modules)"
    command = [sys.executable, "-c", code]
    environment = clean_environment(home)
    assert subprocess.run(command, env=environment, cwd=home, check=False).returncode == 0
