"""The warehouse file: who holds it, what is wrong with it, and what to do about it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from annals.errors import (
    DiskFullError,
    LockedError,
    SettingsError,
    WarehouseError,
)
from annals.settings import Settings
from loaders import warehouse

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held_open(path: Path) -> Iterator[int]:
    """Hold the file open in another process; give its pid."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("read_only", [False, True])
def test_file_held_by_another_process_is_locked(settings: Settings, *, read_only: bool) -> None:
    """The error says which file, and which process holds it."""
    with warehouse.connect(settings):
        pass
    with _held_open(settings.warehouse_file) as pid:
        with (
            pytest.raises(LockedError) as caught,
            warehouse.connect(settings, read_only=read_only),
        ):
            pass
        assert caught.value.exit_code == 7
        assert f"(pid {pid})" in caught.value.message
        assert str(settings.warehouse_file) in caught.value.message
    with warehouse.connect(settings):
        pass


def test_file_of_another_kind_is_refused(settings: Settings) -> None:
    """A file that is not a DuckDB database is an error that says how to get one."""
    settings.warehouse_file.parent.mkdir(parents=True)
    settings.warehouse_file.write_bytes(b"something else " * 1000)
    with pytest.raises(WarehouseError, match="is damaged") as caught, warehouse.connect(settings):
        pass
    assert "makes it again from the lake" in caught.value.hint
    assert settings.warehouse_file.exists()


def test_damaged_file_is_refused(settings: Settings) -> None:
    """A database with a broken checksum is an error that says how to rebuild it."""
    with warehouse.connect(settings) as connection:
        connection.execute("create table meta.filler as select hash(range) h from range(1000000)")
    content = bytearray(settings.warehouse_file.read_bytes())
    for place in range(300_000, len(content) - 300_000, 50_000):
        content[place] ^= 0xFF
    settings.warehouse_file.write_bytes(content)
    with (
        pytest.raises(WarehouseError, match="is damaged") as caught,
        warehouse.connect(settings) as connection,
    ):
        connection.execute("select sum(h) from meta.filler")
    assert "makes it again from the lake" in caught.value.hint


def test_other_version_is_refused(settings: Settings) -> None:
    """A warehouse whose tables have another shape is not written to."""
    with warehouse.connect(settings) as connection:
        warehouse.set_state(connection, "schema_version", "999")
    with pytest.raises(WarehouseError, match="999"), warehouse.connect(settings):
        pass


def test_reading_needs_a_warehouse(settings: Settings) -> None:
    """Reading where nothing was built says what builds it, and creates no file."""
    with (
        pytest.raises(WarehouseError, match="no warehouse") as caught,
        warehouse.connect(settings, read_only=True),
    ):
        pass
    assert "annals pipeline" in caught.value.hint
    assert not settings.warehouse_file.exists()


def test_unwritable_folder_is_refused(settings: Settings, tmp_path: Path) -> None:
    """A path below a file is an error that names the path."""
    blocked = tmp_path / "a-file"
    blocked.touch()
    below = settings.model_copy(update={"duckdb_path": blocked / "analytics.db"})
    with pytest.raises(WarehouseError, match="a-file"), warehouse.connect(below):
        pass


def test_instants_are_shown_in_utc(settings: Settings) -> None:
    """The session's zone is UTC, whatever the machine's is."""
    with warehouse.connect(settings) as connection:
        row = connection.execute("select timestamptz '2026-01-01 00:00:00+02'::varchar").fetchone()
    assert row == ("2025-12-31 22:00:00+00",)


def _write_and_fail(connection: warehouse.Connection) -> None:
    with warehouse.transaction(connection):
        warehouse.set_state(connection, "a", "b")
        connection.execute("select * from nowhere")


def test_failed_transaction_leaves_nothing(settings: Settings) -> None:
    """What a body wrote before it raised is gone, and the connection goes on."""
    with warehouse.connect(settings) as connection:
        with pytest.raises(duckdb.CatalogException):
            _write_and_fail(connection)
        assert warehouse.state(connection, "a") is None
        with warehouse.transaction(connection):
            warehouse.set_state(connection, "a", "c")
        assert warehouse.state(connection, "a") == "c"


def test_state_keeps_the_last_value(settings: Settings) -> None:
    """A key has one value, the last one."""
    with warehouse.connect(settings) as connection:
        warehouse.set_state(connection, "a", "1")
        warehouse.set_state(connection, "a", "2")
        rows = connection.execute("select value from meta.state where key = 'a'").fetchall()
    assert rows == [("2",)]


def test_full_disk_is_said(settings: Settings, tmp_path: Path) -> None:
    """A file system without room gives the error for it, and the file stays usable."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    small = settings.model_copy(update={"duckdb_path": disk / "analytics.db"})
    try:
        with (
            pytest.raises(DiskFullError) as caught,
            warehouse.connect(small) as connection,
        ):
            connection.execute("create table meta.big as select hash(range) h from range(5000000)")
        assert caught.value.exit_code == 10
        with warehouse.connect(small) as connection:
            assert warehouse.state(connection, "schema_version") is not None
    finally:
        subprocess.run(["umount", disk], check=True)


def test_no_build_says_what_to_run(settings: Settings) -> None:
    """Opening the published build where there is none says what publishes one."""
    with pytest.raises(WarehouseError, match="nothing is published") as caught:
        warehouse.open_build(settings)
    assert "annals pipeline" in caught.value.hint


def test_views_file_is_small(tmp_path: Path) -> None:
    """A database of a few views takes kilobytes."""
    path = tmp_path / "it's.duckdb"
    with warehouse.views_file(path) as connection:
        connection.execute("create view a as select 1 as one")
    assert path.stat().st_size < 100_000
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("from a").fetchall() == [(1,)]


def test_a_link_in_the_place_of_the_spill_folder_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    """DuckDB would write rows through it, and remove what it finds there."""
    with warehouse.connect(settings):
        pass
    beside = settings.warehouse_file.with_name(settings.warehouse_file.name + ".tmp")
    beside.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(SettingsError, match="a symbolic link"), warehouse.connect(settings):
        pass


def test_layers_are_dropped_while_another_connection_writes(settings: Settings) -> None:
    """A checkpoint is refused then; the layers are gone all the same, and the other one commits."""
    with warehouse.connect(settings) as connection:
        connection.execute("create schema gold; create table gold.old as select 1 as one")
        with warehouse.connect(settings) as other:
            other.execute("begin")
            other.execute("insert into meta.state values ('kept', 'yes')")
            warehouse.drop_layers(connection)
            other.execute("commit")
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'gold'"
        )
        assert tables.fetchall() == []
        assert warehouse.state(connection, "kept") == "yes"


def test_no_bar_gets_among_the_data_on_standard_output(settings: Settings) -> None:
    """DuckDB draws one where a process has no main file and a query takes two seconds."""
    script = (
        "from annals.settings import load_settings; from loaders import warehouse\n"
        "with warehouse.in_memory(load_settings()) as connection:\n"
        "    name = 'enable_progress_bar'\n"
        "    print(connection.execute('select current_setting(?)', [name]).fetchone())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"ANNALS_HOME": str(settings.annals_home), "HOME": str(settings.annals_home)},
        cwd=Path(warehouse.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(False,)\n"
