"""A published build and a warehouse whose files rot, with size and time as before."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.cli.app import run
from annals.settings import Settings, load_settings
from flows import stages
from flows.validation.builds import check_build, check_warehouse
from loaders import build_checks, warehouse
from loaders.data_files import sweep
from tests.conftest import Run
from tests.integrity.test_crossings import Harm, flip, zero


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which the pipeline has run once."""
    home = tmp_path_factory.mktemp("built")
    folder = home / "projects" / "-p"
    folder.mkdir(parents=True)
    line = {"type": "user", "uuid": "u", "sessionId": "s", "timestamp": "2026-11-30T10:00:00Z"}
    (folder / "s.jsonl").write_text(json.dumps(line) + "\n")
    stages.pipeline(_settings(home))
    return home


def _settings(home: Path) -> Settings:
    return load_settings(
        annals_home=home / "state",
        sqlite_path=home / "state" / "buffer.db",
        claude_dir=home / "projects",
        timezone="UTC",
    )


@pytest.fixture
def settings(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Return the settings of that home; commands have them too, and it is as it was afterwards."""
    shutil.copytree(built / "state", tmp_path / "kept", symlinks=True)
    found = _settings(built)
    for name in ("annals_home", "sqlite_path", "claude_dir", "timezone"):
        monkeypatch.setenv(name.upper(), str(getattr(found, name)))
    yield found
    shutil.rmtree(built / "state")
    shutil.copytree(tmp_path / "kept", built / "state", symlinks=True)


def harm_quietly(path: Path, harm: Harm) -> None:
    """Harm a file and give it back its time."""
    before = path.stat()
    harm(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def build_file(settings: Settings, name: str) -> Path:
    """Return a file of the current build."""
    return next((settings.builds_folder / "current").resolve().glob(name))


@pytest.mark.parametrize("harm", [flip, zero])
@pytest.mark.parametrize("name", ["dim_sessions*.parquet", "catalog.duckdb"])
def test_a_build_that_rots_is_named_and_published_again(
    settings: Settings, name: str, harm: Harm
) -> None:
    """`validate --deep` reads it, exit 9 with the file's name; the next pipeline mends it."""
    path = build_file(settings, name)
    harm_quietly(path, harm)
    check = check_build(settings, deep=True)
    assert str(path) in check.faults[0]
    assert check.exit_code == 9
    assert stages.publish(settings).published
    assert check_build(settings, deep=True).faults == ()
    assert build_file(settings, name) != path


def test_a_build_whose_size_changed_is_named_without_deep(
    settings: Settings, in_process: Run
) -> None:
    """A cut file is seen by its size alone: validate ends with 9, and usage with a cause."""
    path = build_file(settings, "dim_sessions*.parquet")
    path.write_bytes(path.read_bytes()[:-10])
    assert str(path) in check_build(settings).faults[0]
    for other in path.parent.glob("*.parquet"):
        zero(other)
    used = in_process("usage", "daily")
    assert (used.code, "build" in used.err) == (9, True)
    path.unlink()
    shown = in_process("validate")
    assert (shown.code, str(path) in shown.out) == (9, True)


def test_the_sweep_covers_the_build(settings: Settings) -> None:
    """Within its budget the sweep reads the build's files in turn; damage makes another build."""
    path = build_file(settings, "dim_sessions*.parquet")
    with warehouse.connect(settings) as connection:
        count = connection.execute("select count(*) from meta.build_files").fetchone()
        assert sweep(connection, bytes_per_day=10**9, build=path.parent) == 0
        for table in ("build_files", "file_checks"):
            connection.execute(f"update meta.{table} set checked_at = '2020-01-01'")
        assert sweep(connection, bytes_per_day=10, build=path.parent) > 10
        assert sweep(connection, bytes_per_day=10, build=path.parent) == 0
        left = "select count(*) from meta.build_files where checked_at < '2021-01-01'"
        assert connection.execute(left).fetchone() != count
        connection.execute("update meta.build_files set checked_at = '2020-01-01'")
        harm_quietly(path, flip)
        sweep(connection, bytes_per_day=10**9, build=path.parent)
        assert build_checks.build_faults(connection, path.parent, deep=False)
    assert stages.publish(settings).published


def test_a_warehouse_that_rots_is_made_again(settings: Settings) -> None:
    """Blocks in use that rot are named, and the next load sets the warehouse aside."""
    path = settings.warehouse_file
    whole = path.read_bytes()
    named = 0
    for start in range(12_288, len(whole), 262_144):
        content = bytearray(whole)
        content[start + 5_000] ^= 85
        harm_quietly(path, lambda file, content=content: file.write_bytes(content))
        faults = check_warehouse(settings).faults
        named += bool(faults)
        if faults:
            assert str(path) in faults[0]
            rotten = content
    assert named
    path.write_bytes(rotten)
    assert run(["load"]) == 0
    assert check_warehouse(settings).faults == ()
    assert list(path.parent.glob(f"{path.name}.damaged-*"))
    assert not settings.suspect_warehouse.exists()
