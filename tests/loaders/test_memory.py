from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annals.errors import DiskFullError, SettingsError, WarehouseError
from annals.settings import Settings, load_settings
from loaders import warehouse
from loaders.memory import available_bytes, memory_limit

GIB = 1024**3
MILLIONS = (
    "select (range * 7919) % 1000003 as a, repeat('x', 100) || range as b from range(2000000)"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a state folder of their own."""
    return load_settings(annals_home=tmp_path / "annals", sqlite_path=tmp_path / "buffer.db")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder that stands for the system's files about memory."""
    folder = tmp_path / "system"
    folder.mkdir()
    (folder / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    return folder


def measured(machine: Path) -> int:
    """Return the memory that these files leave."""
    return available_bytes(machine, machine / "meminfo", machine / "own")


def test_the_machine_says_what_is_available(machine: Path) -> None:
    """Without a control group, it is what the kernel calls available."""
    assert measured(machine) == 4 * GIB


def test_a_container_with_less_than_its_machine_counts(machine: Path) -> None:
    """The limit of the control group minus what it uses; its page cache can be dropped."""
    (machine / "memory.max").write_text(str(2 * GIB))
    (machine / "memory.current").write_text(str(GIB))
    (machine / "memory.stat").write_text(f"anon 1\ninactive_file {GIB // 2}\n")
    assert measured(machine) == 2 * GIB - GIB // 2


def test_the_older_control_groups_count_too(machine: Path) -> None:
    """Version 1 has other names for the same."""
    (machine / "memory").mkdir()
    (machine / "memory" / "memory.limit_in_bytes").write_text(str(GIB))
    (machine / "memory" / "memory.usage_in_bytes").write_text(str(GIB // 4))
    assert measured(machine) == GIB - GIB // 4


@pytest.mark.parametrize(
    ("own", "folder", "limit", "used"),
    [
        ("0::/system.slice/annals.service", "system.slice/annals.service", "memory.max", "current"),
        ("0::/system.slice/annals.service", "system.slice", "memory.max", "current"),
        ("0::/user.slice/run-1.scope", "user.slice/run-1.scope", "memory.high", "current"),
        ("0::/a/b", "unified/a", "memory.max", "current"),
        ("4:cpu,memory:/job/7", "memory/job/7", "memory.limit_in_bytes", "usage_in_bytes"),
        ("4:memory:/job/7", "memory/job", "memory.limit_in_bytes", "usage_in_bytes"),
    ],
)
def test_a_limit_of_the_process_own_group_counts(
    machine: Path, own: str, folder: str, limit: str, used: str
) -> None:
    """A service, a scope or a job has a group below the root, limited itself or from above."""
    (machine / "own").write_text(f"1:cpu:/elsewhere\n{own}\n")
    group = machine / folder
    group.mkdir(parents=True)
    (group / limit).write_text(str(2 * GIB))
    (group / f"memory.{used}").write_text(str(GIB // 2))
    assert measured(machine) == 2 * GIB - GIB // 2


@pytest.mark.parametrize("own", ["", "nonsense", "0::/../../other", "4:memory", "0::/gone"])
def test_a_group_that_cannot_be_found_is_no_limit(machine: Path, own: str) -> None:
    """What the kernel says of groups outside of this container is passed over."""
    (machine / "own").write_text(own)
    assert measured(machine) == 4 * GIB


@pytest.mark.parametrize("text", ["max", "", "no number"])
def test_a_group_without_a_limit_is_no_limit(machine: Path, text: str) -> None:
    """``max`` and what cannot be read leave the machine's own figure."""
    (machine / "memory.max").write_text(text)
    (machine / "memory.current").write_text("1")
    assert measured(machine) == 4 * GIB


def test_the_limit_follows_the_work(settings: Settings) -> None:
    """512 MB are enough for 3 million rows; a set limit is taken as it is."""
    fixed = settings.model_copy(update={"duckdb_memory_limit": "3GB"})
    assert memory_limit(fixed, rows=10**9) == "3GB"
    if available_bytes() > 2 * GIB:
        assert memory_limit(settings) == memory_limit(settings, rows=3_000_000) == "512MB"
        assert memory_limit(settings, rows=5_000_000) == "692MB"


@pytest.mark.parametrize("value", ["much", "512", "-1GB", "1GB; drop table x"])
def test_a_limit_that_is_not_a_size_is_refused(value: str) -> None:
    """Both limits take a number with a unit, or auto."""
    for name in ("duckdb_memory_limit", "duckdb_spill_limit"):
        with pytest.raises(Exception, match=name.upper()):
            load_settings(**{name: value})


def test_too_little_memory_names_the_setting(settings: Settings) -> None:
    """An aggregate that cannot spill ends with the limit's name, value and remedy."""
    small = settings.model_copy(update={"duckdb_memory_limit": "32MB"})
    with pytest.raises(WarehouseError) as caught, warehouse.connect(small) as connection:
        connection.execute(f"select list(b) from ({MILLIONS})").fetchall()
    assert "DUCKDB_MEMORY_LIMIT" in str(caught.value.hint)
    assert "30.5 MiB" in str(caught.value)


def test_a_full_spill_folder_names_the_settings(settings: Settings, tmp_path: Path) -> None:
    """A sort beyond memory spills to the folder that is set, up to the limit that is set."""
    small = settings.model_copy(
        update={
            "duckdb_memory_limit": "40MB",
            "duckdb_spill_path": tmp_path / "spill",
            "duckdb_spill_limit": "20MB",
        }
    )
    with pytest.raises(DiskFullError) as caught, warehouse.connect(small) as connection:
        connection.execute(f"create table sorted as from ({MILLIONS}) order by b, a")
    assert "DUCKDB_SPILL_LIMIT" in str(caught.value.hint)


@contextmanager
def _disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small disk of its own, or skip."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _sort(settings: Settings, spill: Path) -> None:
    """Sort more than memory holds, with this spill folder."""
    small = settings.model_copy(update={"duckdb_memory_limit": "60MB", "duckdb_spill_path": spill})
    with warehouse.connect(small) as connection:
        connection.execute(f"create or replace table sorted as from ({MILLIONS}) order by b, a")
        assert connection.execute("select count(*) from sorted").fetchone() == (2_000_000,)


def test_a_spill_folder_on_another_disk_is_used(settings: Settings, tmp_path: Path) -> None:
    """A sort ends with the room that it needs there; nothing is left in the folder."""
    with _disk(tmp_path / "disk", "size=900m") as disk:
        _sort(settings, disk / "spill")
        assert not list(disk.rglob("*.tmp"))


def test_a_full_spill_disk_is_a_full_disk(settings: Settings, tmp_path: Path) -> None:
    """Not the limit of memory is the cause (exit 10); the settings of the spill are named."""
    with _disk(tmp_path / "disk", "size=8m") as disk:
        with pytest.raises(DiskFullError) as caught:
            _sort(settings, disk / "spill")
        assert str(disk / "spill") in caught.value.message
    assert "DUCKDB_SPILL_PATH" in caught.value.hint
    _sort(settings, tmp_path / "room")


@pytest.mark.parametrize("below", ["", "spill"])
def test_a_spill_folder_that_cannot_be_written_is_named(
    settings: Settings, tmp_path: Path, below: str
) -> None:
    """On a read-only disk the folder and its setting are named (exit 3), and nothing is lost."""
    with _disk(tmp_path / "disk", "ro,size=8m") as disk:
        with pytest.raises(SettingsError, match="Read-only") as caught:
            _sort(settings, disk / below)
        assert str(disk / below) in caught.value.message
    assert "DUCKDB_SPILL_PATH" in caught.value.hint
    _sort(settings, tmp_path / "room")


def test_a_file_in_the_place_of_the_spill_folder_is_named(
    settings: Settings, tmp_path: Path
) -> None:
    """The folder cannot be made there: a setting to correct."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="DuckDB cannot write to"):
        _sort(settings, tmp_path / "file" / "spill")


def test_after_a_spill_the_warehouse_opens_again(settings: Settings) -> None:
    """Stages of a pipeline open it one in another, also after the first one spilled."""
    tight = settings.model_copy(update={"duckdb_memory_limit": "100MB"})
    with warehouse.connect(tight) as outer:
        outer.execute(f"create temp table sorted as {MILLIONS} order by b")
        with warehouse.connect(tight) as inner:
            assert inner.execute("select 1").fetchone() == (1,)
