"""Damage of each file of the lake in turn: named, never a defect, and repaired from copies."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analytics.cli.app import run
from annals.errors import IntegrityError, LakeDamageError
from annals.lake.content import hash_file, named_hash
from extractors.repair import repair_lake
from flows import stages
from flows.validation.lake_files import lake_faults
from flows.validation.promises import validate
from loaders.lake import read_head
from loaders.warehouse import connect
from operations.repair import repair
from tests.integrity.places import Place
from tests.integrity.test_crossings import HARMS, Harm

ROUNDS = int(os.environ.get("INTEGRITY_ROUNDS", "1"))
"""The long form: how many seeds are tried for each way to harm a file."""


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("harm", HARMS)
def test_each_file_of_the_lake(place: Place, harm: Harm, seed: int) -> None:
    """Whatever is done to a file: exit 9 with its name, or the lake is whole again."""
    expected = place.ids()
    random.seed(seed)
    for path in random.sample(place.lake_files(), 2):
        if path.suffix == ".db" and harm.__name__ == "swap":
            continue
        if path.exists():
            harm(path)
        try:
            stages.extract(place.settings)
            stages.load(place.settings)
        except IntegrityError as error:
            assert str(place.settings.lake_folder) in error.message  # noqa: PT017
            continue
        assert place.ids() == expected


def test_a_damaged_data_file_is_repaired_and_set_aside(place: Place) -> None:
    """P-20: a zeroed file's rows come from the buffer; it is as it was, and kept aside."""
    expected, path = place.ids(), place.data_files()[0]
    path.write_bytes(bytes(path.stat().st_size))
    stages.load(place.settings)
    assert place.ids() == expected
    assert hash_file(path) == named_hash(path.name)
    assert len(list(path.parent.glob(f"{path.name}.damaged-*"))) == 1
    assert lake_faults(place.settings)[1] == ()
    assert stages.extract(place.settings).records_read == 0


def test_undamaged_rows_are_salvaged_without_the_buffer(place: Place) -> None:
    """One rotten page of raw bytes: the rows' other columns lead to the transcript."""
    import pyarrow.parquet as pq

    expected, path = place.ids(), place.data_files()[0]
    with pq.ParquetFile(path) as file:
        group = file.metadata.row_group(0)
        raw = next(
            group.column(number)
            for number in range(file.metadata.num_columns)
            if group.column(number).path_in_schema == "raw"
        )
    content = bytearray(path.read_bytes())
    content[raw.data_page_offset + raw.total_compressed_size // 2] ^= 4
    path.write_bytes(content)
    place.settings.sqlite_path.unlink()
    report = repair_lake(place.settings)
    missing = report.rows_missing  # the record of the file itself is in no transcript
    assert missing <= 1
    if not missing:
        assert place.ids() == expected


def test_rows_without_any_copy_change_nothing(place: Place) -> None:
    """Without buffer and transcript a zeroed file stays in the table: exit 9 with its name."""
    path = place.data_files()[0]
    path.write_bytes(bytes(path.stat().st_size))
    place.settings.sqlite_path.unlink()
    place.transcript.unlink()
    with pytest.raises(LakeDamageError, match=path.name):
        stages.load(place.settings)
    report = repair_lake(place.settings)
    assert (report.rows_appended, report.is_complete) == (0, False)
    assert path.exists()


@pytest.mark.parametrize("what", ["catalog.db", "*.metadata.json", "snap-*.avro", "*-m0.avro"])
def test_a_damaged_head_goes_back_to_a_whole_version(place: Place, what: str) -> None:
    """Catalog, metadata, manifest list, manifest: the newest one is damaged, the lake recovers."""
    expected = place.ids()
    newest = max(place.settings.lake_folder.rglob(what), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-20] + b"\xff" * 20)
    stages.extract(place.settings)
    stages.load(place.settings)
    assert place.ids() == expected


def test_old_lists_and_manifests_are_noticed(place: Place) -> None:
    """Every file of every snapshot is checked, those that only a rollback needs included."""
    assert lake_faults(place.settings)[1] == ()
    oldest = min(
        place.settings.lake_folder.rglob("snap-*.avro"), key=lambda path: path.stat().st_mtime_ns
    )
    content = bytearray(oldest.read_bytes())
    content[len(content) // 2] ^= 1
    oldest.write_bytes(content)
    (fault,) = lake_faults(place.settings)[1]
    assert str(oldest) in fault


def test_a_damaged_warehouse_is_set_aside(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The warehouse is made from the lake: a damaged one is replaced without a person, and told."""
    file = place.settings.warehouse_file
    file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])
    report = stages.load(place.settings)
    assert report.rows_scanned > 0
    (kept,) = file.parent.glob(f"{file.name}.damaged-*")
    said = capsys.readouterr().err
    assert f"note: the warehouse {file} was damaged" in said
    assert str(kept) in said


def test_a_repair_of_the_lake_is_announced(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that repairs files says so on standard error, with the file that was damaged."""
    path = place.data_files()[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    stages.load(place.settings)
    said = capsys.readouterr().err
    assert "note: the lake was damaged" in said
    assert path.name in said


@pytest.mark.parametrize("deep", [True, False])
def test_a_damaged_warehouse_leaves_the_other_checks(place: Place, deep: bool) -> None:
    """All checks that need no warehouse are made and pass; the damage is named, and is exit 9."""
    stages.pipeline(place.settings)
    whole = {check.name for check in validate(place.settings, deep=deep).checks}
    file = place.settings.warehouse_file
    file.write_bytes(b"\0" * 4096 + file.read_bytes()[4096:])
    report = validate(place.settings, deep=deep)
    assert report.exit_code == 9
    assert {check.name for check in report.checks} == whole
    broken = {check.name for check in report.checks if check.faults}
    assert broken == {"bronze", "complete", "build", "tests"} | ({"warehouse"} if deep else set())


def test_a_moved_state_opens(place: Place, tmp_path: Path) -> None:
    """Moved to another folder, extract and load go on; files are named where they are now."""
    expected = place.ids()
    moved = Place(tmp_path / "there", place.entries)
    shutil.move(place.root, moved.root)
    with pytest.raises(LakeDamageError, match="was moved from"):
        read_head(moved.settings)
    moved.write(1)
    moved.land()
    assert moved.ids() > expected
    with connect(moved.settings) as connection:
        rows = connection.execute("select file_path from meta.data_files").fetchall()
        assert all(path.startswith(str(moved.settings.lake_folder)) for (path,) in rows)
        count = connection.execute("select count(*) from raw.records").fetchone()
    assert count is not None
    assert count[0] >= len(expected)
    shutil.move(moved.root, place.root)


def test_repair_command(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`annals repair` reports first with --dry-run, then repairs; a file it does not know is 6."""
    expected, path = place.ids(), place.data_files()[0]
    path.write_bytes(b"")
    for name in ("annals_home", "sqlite_path", "claude_dir"):
        monkeypatch.setenv(name.upper(), str(getattr(place.settings, name)))
    assert run(["repair", "--dry-run", "--json"]) == 0
    assert path.exists()
    assert run(["repair"]) == 0
    assert place.ids() == expected
    assert run(["repair", "no-such-transcript.jsonl"]) == 6
    assert run(["repair", str(place.transcript)]) == 0


def test_the_hint_for_a_missing_catalog_is_the_command_that_makes_it_again(place: Place) -> None:
    """Catalogs of other names may be meant, so no stage does it by itself; nothing is lost."""
    expected = place.ids()
    (place.settings.lake_folder / "catalog.db").unlink()
    for stage in (stages.extract, stages.load):
        with pytest.raises(IntegrityError) as caught:
            stage(place.settings)
        assert "`annals repair`" in caught.value.hint
    assert repair(place.settings).is_complete
    stages.load(place.settings)
    assert place.ids() == expected


def test_checksums_follow_the_metadata_that_is_kept(place: Place) -> None:
    """Of metadata files that Iceberg's library deletes after a commit no checksum stays."""
    for path in sorted(place.settings.lake_folder.rglob("*.metadata.json"))[:2]:
        path.unlink()
    place.write(1)
    place.land()
    with closing(sqlite3.connect(place.settings.lake_folder / "catalog.db")) as catalog:
        rows = catalog.execute("select name from annals_checksums").fetchall()
    assert len(rows) > len(place.data_files())
    assert [name for (name,) in rows if not (place.settings.lake_folder / name).exists()] == []
