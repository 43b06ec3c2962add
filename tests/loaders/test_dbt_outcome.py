"""A run of dbt is a success only if every selected node says so."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.errors import AnalyticsError
from annals.settings import Settings
from loaders import warehouse
from loaders.dbt_outcome import NodeStatuses, judge, remedy, unsuccessful_results
from loaders.load import load
from loaders.transform import GOLD_REVISION, transform

KINDS = ("model", "seed", "snapshot", "test", "unit_test")
SUCCESS = {"test": "pass", "unit_test": "pass"}
REPORTED = (
    *("success", "error", "fail", "warn", "skipped", "pass"),
    *("runtime error", "partial success", "no-op", "another"),
)


def _node(kind: str, number: int, *, is_ephemeral: bool = False) -> Any:
    return SimpleNamespace(
        unique_id=f"{kind}.annals.node_{number}",
        name=f"node_{number}",
        resource_type=kind,
        is_ephemeral_model=is_ephemeral,
        config=SimpleNamespace(tags=[]),
    )


def _result(node: Any, status: str) -> Any:
    return SimpleNamespace(node=node, status=status, message="", failures=None)


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=8),
    st.data(),
)
def test_one_node_without_success_is_enough(
    shapes: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Whatever else dbt reports of one node, or if it reports nothing, the run is not a success."""
    nodes = [
        _node(kind, number, is_ephemeral=ephemeral and kind == "model")
        for number, (kind, ephemeral) in enumerate(shapes)
    ]
    selected = {node.unique_id: node for node in nodes}
    odd = data.draw(st.sampled_from(nodes))
    wanted = SUCCESS.get(odd.resource_type, "success")
    status = data.draw(st.sampled_from([None, *(one for one in REPORTED if one != wanted)]))
    statuses, results = NodeStatuses(), []
    for node in nodes:
        now = status if node is odd else SUCCESS.get(node.resource_type, "success")
        if now is None:
            continue
        if node.is_ephemeral_model:
            statuses.found[node.unique_id] = (now, "")
        else:
            results.append(_result(node, now))
    failed = unsuccessful_results(judge(selected, results, statuses))
    assert [node.name for node in failed] == [odd.name]


def test_a_node_outside_the_selection_is_judged_too() -> None:
    """A node that dbt ran without being asked counts like any other; an exposure is not a work."""
    extra, exposure = _node("model", 1), _node("exposure", 2)
    results = [_result(extra, "error"), _result(exposure, "no-op")]
    assert [one.name for one in unsuccessful_results(judge({}, results, NodeStatuses()))] == [
        "node_1"
    ]


def test_a_full_build_is_advised_only_where_it_helps() -> None:
    """Stale tables need a full build; neither a full build nor a full disk does."""
    stale = RuntimeError("wrapped by dbt")
    stale.__cause__ = duckdb.BinderException("no such column")
    assert "--full-refresh" in remedy(stale, is_full=False)
    assert "--full-refresh" not in remedy(stale, is_full=True)
    other = IsADirectoryError(21, "Binder Error: contract")
    assert "--full-refresh" not in remedy(other, is_full=False)
    assert "--full-refresh" not in remedy(None, is_full=False)


def test_a_fault_in_a_model_names_file_line_and_cause(
    settings: Settings, lake: Any, small_dbt: Path
) -> None:
    """Of a model of the user's own: what DuckDB refuses in it, and what dbt cannot compile."""
    own = small_dbt / "models" / "gold" / "my_costs.sql"
    lake.append(lake.entry("s1", {"key": "a"}))
    load(settings)
    own.write_text(
        "-- mine\nselect\n    session_id,\n    no_such_column\nfrom {{ ref('dim_sessions') }}\n"
    )
    with pytest.raises(AnalyticsError) as refused:
        transform(settings, project=small_dbt)
    assert "the model my_costs (models/gold/my_costs.sql, line 4) failed" in refused.value.message
    assert "no_such_column" in refused.value.message
    own.write_text("select 1 as one\nfrom {{ ref('dim_sessions') }\n")
    with pytest.raises(AnalyticsError) as refused:
        transform(settings, project=small_dbt)
    assert "my_costs" in refused.value.message
    assert "models/gold/my_costs.sql" in refused.value.message
    assert "line 2" in refused.value.message


@pytest.mark.parametrize("model", ["days", "dim_sessions"])
def test_a_model_that_cannot_be_compiled_keeps_what_is_pending(
    settings: Settings, lake: Any, small_dbt: Path, model: str
) -> None:
    """A compiled file that dbt cannot write, of whatever model, fails the run; the next builds."""
    models = small_dbt / "models"
    (models / "bronze" / "days.sql").write_text(
        "{{ config(materialized='ephemeral') }} select * from {{ ref('stg_entries') }}"
    )
    sessions = models / "gold" / "dim_sessions.sql"
    sessions.write_text(sessions.read_text().replace("'stg_entries'", "'days'"))
    lake.append(lake.entry("s1", {"key": "a"}))
    load(settings)
    transform(settings, project=small_dbt)
    (compiled,) = (settings.annals_home / "dbt" / "target" / "compiled").rglob(f"{model}.sql")
    compiled.unlink()
    compiled.mkdir()
    lake.append(lake.entry("s2", {"key": "b"}))
    load(settings)
    with warehouse.connect(settings) as connection:
        revision = warehouse.state(connection, GOLD_REVISION)
    with pytest.raises(AnalyticsError):
        transform(settings, project=small_dbt)
    with warehouse.connect(settings) as connection:
        assert warehouse.state(connection, GOLD_REVISION) == revision
    shutil.rmtree(compiled)
    assert transform(settings, project=small_dbt).sessions_rebuilt == 1
    with warehouse.connect(settings) as connection:
        rows = connection.execute("select session_id from gold.dim_sessions order by 1").fetchall()
    assert rows == [("s1",), ("s2",)]
