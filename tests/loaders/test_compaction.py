"""Tables are rewritten once a quarter of them was built again, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.settings import Settings
from loaders import compaction, data_files, warehouse
from loaders.warehouse import Connection


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """Return a warehouse with 100 entries, of which a batch has built 10 again."""
    settings = Settings(_env_file=None, duckdb_path=tmp_path / "analytics.db", annals_home=tmp_path)
    with warehouse.connect(settings) as connection:
        for schema, name, rows in (
            ("bronze", "stg_claude_code__entries", 100),
            ("silver", "int_touched_entries", 10),
        ):
            connection.execute(f"create schema {schema}")
            connection.execute(f"create table {schema}.{name} as from range({rows})")
        yield connection


def _allowed_tasks(connection: Connection) -> int:
    row = connection.execute("select current_setting('max_vacuum_tasks')").fetchone()
    return int(row[0]) if row else -1


def test_small_batches_rewrite_nothing_until_a_quarter_is_replaced(connection: Connection) -> None:
    """After 10 and 20 of 100 entries a checkpoint leaves tables alone, after 30 it does not."""
    seen = []
    for _ in range(3):
        compaction.note_replaced(connection, is_full=False)
        seen.append(_allowed_tasks(connection) > 0)
    assert seen == [False, False, True]


def test_the_count_starts_again_after_a_rewrite(connection: Connection) -> None:
    """What a checkpoint cleaned up is not counted a second time."""
    for _ in range(3):
        compaction.note_replaced(connection, is_full=False)
    assert warehouse.state(connection, "replaced_rows") == "0"


def test_a_full_build_leaves_nothing_to_clean_up(connection: Connection) -> None:
    """Its tables are new, and its checkpoint does not write them twice."""
    compaction.note_replaced(connection, is_full=False)
    compaction.note_replaced(connection, is_full=True)
    assert warehouse.state(connection, "replaced_rows") == "0"
    assert _allowed_tasks(connection) == 0


def test_a_warehouse_without_these_tables_is_left_alone(tmp_path: Path) -> None:
    """Nothing is counted, and nothing fails, where another project has other tables."""
    settings = Settings(_env_file=None, duckdb_path=tmp_path / "analytics.db", annals_home=tmp_path)
    with warehouse.connect(settings) as connection:
        compaction.note_replaced(connection, is_full=False)
        assert _allowed_tasks(connection) == 0


def test_many_small_batches_are_merged_now_and_then(connection: Connection) -> None:
    """Batches of which no row is replaced leave a piece in each table: the 64th lets them merge."""
    connection.execute("delete from silver.int_touched_entries")
    allowed = []
    for _ in range(2 * compaction.MOST_PIECES):
        compaction.note_replaced(connection, is_full=False)
        allowed.append(_allowed_tasks(connection) > 0)
        connection.execute("set max_vacuum_tasks = 0")
    assert [number for number, is_due in enumerate(allowed, 1) if is_due] == [64, 128]


def test_notes_of_many_loads_stay_in_few_pieces(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each load adds a row; the rows stay, and the table never has more pieces than a bound."""
    monkeypatch.setattr(compaction, "MOST_PIECES", 4)
    data_files.make_table(connection)
    pieces = []
    for number in range(13):
        with warehouse.transaction(connection):
            connection.execute("insert into meta.data_files values (?, 1, 1, 1, true)", [number])
            compaction.merge_notes(connection)
        connection.execute("checkpoint")
        pieces.append(_pieces(connection, "meta.data_files"))
    assert max(pieces) <= 5
    rows = connection.execute("select count(distinct file_path) from meta.data_files").fetchone()
    assert rows == (13,)


def _pieces(connection: Connection, table: str) -> int:
    row = connection.execute(
        f"select count(distinct row_group_id) from pragma_storage_info('{table}')"
    ).fetchone()
    return int(row[0]) if row else 0
