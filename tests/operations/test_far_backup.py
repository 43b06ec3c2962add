"""A lake in an object store is backed up and restored like one on the disk, and between both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from annals.settings.passing import as_environment
from tests.conftest import Built, Run, clean_environment
from tests.extractors.lakes import ids
from tests.operations.test_backup import GOLD, gold
from tests.servers.lakes import FarLake

DIE = """
import sys
from pathlib import Path
from annals.settings import load_settings
from operations.backup import restore
from tests.extractors.test_crashes import die_at
die_at("extractors.lake.copying", "register_lake", "before")
restore(load_settings(), Path(sys.argv[1]))
"""


@pytest.fixture
def local_archive(built: Built, tmp_path: Path) -> Path:
    """Return an archive of the built sample, whose lake is on the disk."""
    done = built.read("backup", "--to", str(tmp_path / "archive"))
    assert done.code == 0, done.err
    return tmp_path / "archive"


@pytest.mark.slow
def test_there_and_back(
    annals: Run,
    built: Built,
    local_archive: Path,
    own_far_lake: FarLake,
    home: Path,
) -> None:
    """From the disk to an object store and back: all rows, and gold the same to the byte."""
    own_far_lake.namespace = "analytics"
    there = own_far_lake.settings(home / "far")
    far = as_environment(there)
    done = annals("restore", str(local_archive), "--json", **far)
    assert done.code == 0, done.err
    assert done.data["restore"]["moved"] is True
    for command in GOLD:
        ran = annals(command, **far)
        assert ran.code == 0, ran.err
    assert gold(home / "far" / "annals") == gold(built.home / ".annals" / "sample")
    assert not list((home / "far").rglob("*.parquet"))
    assert set(ids(there).values()) == {1}

    again = annals("restore", str(local_archive), **far | {"ANNALS_HOME": str(home / "x")})
    assert (again.code, "empty place" in again.err) == (2, True), again.err

    saved = annals("backup", "--to", str(home / "archive"), "--json", **far)
    assert saved.code == 0, saved.err
    assert saved.data["backup"]["snapshot_id"]
    back = annals("restore", str(home / "archive"))
    assert back.code == 0, back.err
    for command in GOLD:
        assert annals(command).code == 0
    assert gold(home / ".annals") == gold(built.home / ".annals" / "sample")


@pytest.mark.slow
def test_a_restore_that_was_killed_is_finished_by_the_next_one(
    annals: Run, local_archive: Path, own_far_lake: FarLake, home: Path
) -> None:
    """Killed before the catalog knew of the table: the next restore makes it known, once."""
    own_far_lake.namespace = "analytics"
    there = own_far_lake.settings(home / "far")
    far = as_environment(there)
    died = start_dying(far, local_archive, home)
    assert died.returncode == -9, died.stderr
    assert own_far_lake.files(".parquet")
    assert annals("iceberg", "info", **far).code == 1, "the table is not known yet"
    done = annals("restore", str(local_archive), "--json", **far)
    assert done.code == 0, done.err
    assert set(ids(there).values()) == {1}
    assert there.sqlite_path.exists()
    assert not list(there.annals_home.glob("restoring*"))


def start_dying(far: dict[str, str], archive: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Restore in a process that is killed before it makes the table known."""
    return subprocess.run(
        [sys.executable, "-c", DIE, str(archive)],
        cwd=home,
        env=clean_environment(home, **far),
        capture_output=True,
        text=True,
        check=False,
    )
