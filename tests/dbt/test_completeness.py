"""Every row of silver and gold is accounted for: one that is missing is found and named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from annals.errors import IntegrityError
from annals.records.conversations import KNOWN_TYPES
from examples.generator import Tree, changes, write_hazards, write_sample
from flows.validation.completeness import check_completeness
from loaders import batch_proof, completeness, warehouse
from loaders.completeness_keys import hash_key
from loaders.completeness_rules import RULES
from loaders.completeness_tables import (
    BRONZE,
    ENTRIES_OF_BATCH,
    FOREIGN,
    ROWS_OF_RESPONSES,
    SEALED,
)
from loaders.dbt_project import PROJECT_FOLDER
from loaders.publish import current_build, publish
from loaders.transform import transform
from tests.accuracy.conftest import Counted, settings_in

MODELS = {
    path.stem: layer
    for folder, layer in (("intermediate", "silver"), ("marts", "gold"))
    for path in sorted((PROJECT_FOLDER / "models" / folder).rglob("*.sql"))
}
ROWS_TRIED = 4
NOT_STORED = ("ephemeral", "view")
FOREIGN_LINE = (
    b'{"type":"message","timestamp":"2026-01-01T10:00:00Z","message":{"id":"m-foreign","role":'
    b'"assistant","model":"claude-opus-4-6","usage":{"input_tokens":5,"output_tokens":7}}}\n'
)
"""A line of another program, as much like an answer as can be."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Take in a tree with every hazard and then some lines more, so that a batch was built."""
    home = tmp_path_factory.mktemp("complete")
    write_hazards(home / "projects")
    write_sample(home / "projects")
    (home / "projects" / "-notes").mkdir()
    for number in range(3):
        (home / "projects" / "-notes" / f"data-{number}.jsonl").write_bytes(FOREIGN_LINE * 3)
    counted = Counted(settings_in(home))
    counted.take_in()
    paths = sorted(str(one.relative_to(home / "projects")) for one in home.rglob("*.jsonl"))
    changes.grow(Tree(home / "projects"), paths[::9][:4], lines=40, seed=3)
    counted.take_in()
    return counted


def _gaps_without_one_row(
    settings: Any, table: str, *, is_full: bool, of_batch: bool = False
) -> list[set[str]]:
    """Return, for some rows of a table, which tables are named where that row alone is missing."""
    named = []
    with warehouse.connect(settings) as connection:
        order = (
            f"{_is_of_batch(connection, table)} desc, hash(rowid)" if of_batch else "hash(rowid)"
        )
        rows = connection.execute(f"select rowid from {table} order by {order}").fetchall()
        for (row,) in rows[:ROWS_TRIED]:
            connection.execute("begin transaction")
            if of_batch:
                _unprove_last_batch(connection)
            connection.execute(f"delete from {table} where rowid = {row}")
            proof = completeness.check(connection, is_full=is_full)
            connection.execute("rollback")
            named.append({gap.table for gap in proof.gaps if gap.place and str(gap)})
    return named


def _is_of_batch(connection: Any, table: str) -> str:
    """Return SQL for whether a row is one that the last batch wrote, as far as a column says so."""
    columns = connection.execute(f"select column_name from (describe {table})").fetchall()
    if ("session_id",) not in columns:
        return "true"
    return f"session_id in (select session_id from {ENTRIES_OF_BATCH})"


def _unprove_last_batch(connection: Any) -> None:
    """Note the last batch as one that no proof has covered yet."""
    connection.execute(
        f"insert into meta.unproven_sessions select distinct session_id from {ENTRIES_OF_BATCH}"
    )
    connection.execute(
        f"insert into meta.unproven_messages select distinct message_id from {ROWS_OF_RESPONSES}"
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_row_of_the_last_batch_is_named(counted: Counted, models: Any, model: str) -> None:
    """Whatever row of a batch is deleted before its proof, the cheap form names that table."""
    table = f"{MODELS[model]}.{model}"
    if models[model].config.materialized in NOT_STORED:
        return
    named = _gaps_without_one_row(counted.settings, table, is_full=False, of_batch=True)
    assert named
    assert all(table in names for names in named)


def test_a_batch_is_proven_from_its_own_rows(counted: Counted) -> None:
    """A batch that is whole is proven without its history, and the same rows are accounted for."""
    with warehouse.connect(counted.settings) as connection:
        connection.execute("begin transaction")
        _unprove_last_batch(connection)
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables()"
        ).fetchall()
        rows = batch_proof.rows_proven(connection, [name for (name,) in tables])
        proof = completeness.check(connection)
        connection.execute("rollback")
    held = counted.row(
        f"select count(*) from {BRONZE}"
        f" where session_id in (select session_id from {ENTRIES_OF_BATCH})"
    )
    assert (rows,) == held
    assert (proof.rows_scanned, proof.is_full, proof.gaps) == (rows, False, ())


@pytest.mark.parametrize("model", MODELS)
def test_a_row_missing_anywhere_is_named(counted: Counted, models: Any, model: str) -> None:
    """Whatever row of whatever table of silver or gold is deleted, both forms name that table."""
    table = f"{MODELS[model]}.{model}"
    if models[model].config.materialized in NOT_STORED:
        return
    for is_full in (True, False):
        named = _gaps_without_one_row(counted.settings, table, is_full=is_full)
        assert named
        assert all(table in names for names in named)


def test_every_table_has_a_rule(models: Any) -> None:
    """A model of silver or gold that is stored has a rule by which its rows are accounted for."""
    stored = {
        f"{MODELS[name]}.{name}"
        for name, node in models.items()
        if name in MODELS and node.config.materialized not in NOT_STORED
    }
    assert stored == {rule.table for rule in RULES} - {BRONZE} | set(SEALED)


def test_a_foreign_file_is_in_no_other_table(counted: Counted) -> None:
    """L-10 A file of another program is kept in bronze, is foreign, and counts nowhere else."""
    with warehouse.connect(counted.settings) as connection:
        in_bronze = f"select count(*) from {BRONZE} where session_id like 'data-%'"
        assert connection.execute(in_bronze).fetchone() == (9,)
        rows = connection.execute(f"select * from {FOREIGN} where session_id like 'data-%'")
        assert sorted(rows.fetchall()) == [(f"data-{number}", 3) for number in range(3)]
        columns = connection.execute(
            "select schema_name || '.' || table_name from duckdb_columns()"
            " where column_name = 'session_id' and schema_name in ('silver', 'gold')"
        ).fetchall()
        for (table,) in set(columns) - {(FOREIGN,)}:
            found = connection.execute(
                f"select count(*) from {table} where session_id like 'data-%'"
            ).fetchone()
            assert found == (0,), table
        assert not completeness.check(connection, is_full=True).gaps


def test_a_foreign_session_becomes_one_with_its_first_record(tmp_path: Path) -> None:
    """L-10 A record of a conversation in a file that was foreign makes it a session, usage too."""
    path = tmp_path / "projects" / "-p" / "later.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(FOREIGN_LINE)
    (path.parent / "chat.jsonl").write_bytes(b'{"type":"summary","summary":"s"}\n')
    counted = Counted(settings_in(tmp_path))
    counted.take_in()
    usage = "select session_id, total_tokens from gold.fct_api_responses"
    with warehouse.connect(counted.settings) as connection:
        assert connection.execute(usage).fetchall() == []
    with path.open("ab") as stream:
        stream.write(b'{"type":"summary","summary":"s"}\n')
    counted.take_in()
    with warehouse.connect(counted.settings) as connection:
        assert connection.execute(usage).fetchall() == [("later", 12)]
        assert connection.execute(f"from {FOREIGN}").fetchall() == []
        assert not completeness.check(connection, is_full=True).gaps


def test_known_types_are_the_same_in_dbt_and_python() -> None:
    """L-10 The macro that decides in dbt names the types that the ledger decides by."""
    text = (PROJECT_FOLDER / "macros" / "transcripts.sql").read_text("utf-8")
    listed = text.partition("set known_types = [")[2].partition("]")[0]
    assert set(re.findall("'([^']+)'", listed)) == KNOWN_TYPES


def test_a_missing_entry_of_bronze_is_named(counted: Counted) -> None:
    """An entry that the lake has and bronze has not is named with its session."""
    for names in _gaps_without_one_row(counted.settings, BRONZE, is_full=True):
        assert BRONZE in names


def test_the_key_is_the_project_s(counted: Counted) -> None:
    """The key that the proof computes is the one of the models."""
    key = hash_key("response_key", "tool_use_id", "ordinal")
    query = f"select count(*), count(*) filter (where {key} = tool_call_key)"
    total, same = counted.row(f"{query} from silver.int_tool_calls")
    assert total == same > 0


def test_the_cheap_form_scans_the_batch(counted: Counted, tmp_path: Path) -> None:
    """The cheap form scans the sessions of the batch, and nothing where nothing is unproven."""
    with warehouse.connect(counted.settings) as connection:
        connection.execute("begin transaction")
        assert completeness.check(connection).rows_scanned == 0
        sessions = connection.execute(
            f"select session_id, count(*) from {BRONZE} group by 1 order by 2 limit 2"
        ).fetchall()
        for session, _ in sessions:
            connection.execute("insert into meta.unproven_sessions values (?)", [session])
        proof = completeness.check(connection)
        connection.execute("rollback")
    assert (proof.rows_scanned, proof.is_full) == (sum(rows for _, rows in sessions), False)


@pytest.mark.parametrize(
    "statement", ["delete from gold.fct_api_responses", "drop schema gold cascade"]
)
def test_less_gold_than_bronze_is_not_published(counted: Counted, statement: str) -> None:
    """Gold that is empty or gone is refused, the build stays, and the next run builds it again."""
    settings = counted.settings
    publish(settings)
    before = current_build(settings)
    with warehouse.connect(settings) as connection:
        connection.execute(statement)
        warehouse.set_state(connection, "gold_revision", "another")
    assert check_completeness(settings).faults
    with pytest.raises(IntegrityError, match="gold") as caught:
        publish(settings)
    assert "annals pipeline" in caught.value.hint
    assert current_build(settings) == before
    assert transform(settings).full_refresh
    publish(settings)
    assert current_build(settings) != before
    assert not check_completeness(settings).faults
