"""``annals validate``: it proves the promises, and it notices when one is broken."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annals.errors import WarehouseError
from annals.settings import Settings, load_settings
from examples.generator import Truth, write_hazards, write_sample
from flows import stages
from flows.validation import promises as validation
from flows.validation.builds import check_build
from loaders.dbt_project import PROJECT_FOLDER
from loaders.transform import transform
from tests.conftest import Built, Run


def test_transcripts_are_checked_where_they_were_read(
    home: Path, annals: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one run with CLAUDE_DIR, validate and status look there without being told again."""
    truth = write_sample(home / "elsewhere")
    size = sum(ledger.size for ledger in truth.files.values())
    monkeypatch.chdir(home)
    stages.sync(load_settings(claude_dir="sub/../elsewhere"))
    assert annals("status", "--json").data["custody"]["bytes_on_disk"] == size
    report = validation.validate(load_settings(), deep=True)
    assert not any(check.faults for check in report.checks)
    assert report.checks[0].figures["bytes_on_disk"] == size
    (home / ".claude" / "projects").mkdir(parents=True)
    assert annals("status", "--json").data["custody"]["bytes_on_disk"] == 0


@pytest.fixture
def settings(home: Path) -> Settings:
    """Return the settings of a home that has transcripts of its own."""
    return load_settings(claude_dir=home / "projects", timezone="UTC")


def _extracted(settings: Settings, write: Callable[[Path], Truth] = write_sample) -> Truth:
    """Write transcripts and take them as far as the lake."""
    truth = write(settings.claude_dir)
    stages.sync(settings)
    stages.extract(settings)
    return truth


def _failed(settings: Settings, *, deep: bool = True) -> dict[str, str]:
    """Return the names of the checks that fail, with what they say first; places by themselves."""
    report = validation.validate(settings, deep=deep)
    failed = {check.name: check.faults[0] for check in report.checks if check.faults}
    places = failed.pop("places", None)
    assert report.exit_code == (9 if failed else 6 if places else 0)
    return failed


def _places(settings: Settings) -> tuple[str, ...]:
    """Return what is not proven."""
    report = validation.validate(settings)
    return next(check.faults for check in report.checks if check.name == "places")


def _figures(settings: Settings, name: str) -> dict[str, Any]:
    report = validation.validate(settings, deep=True)
    return next(dict(check.figures) for check in report.checks if check.name == name)


def test_all_promises_are_kept_after_a_pipeline(built: Built) -> None:
    """On the sample, deep validation passes and its parts add up to the bytes on disk."""
    done = built.read("validate", "--deep", "--json")
    assert done.code == 0, done.out
    checks = {check["name"]: check for check in done.data["checks"]}
    assert set(checks) == {
        "ledger",
        "places",
        "lake",
        "stock",
        "files",
        "bronze",
        "complete",
        "build",
        "warehouse",
        "identities",
        "bytes",
        "tests",
    }
    assert not any(check["skipped"] for check in checks.values())
    figures = checks["bytes"]["figures"]
    kept = built.pipeline.data["custody"]
    for name in ("entry_bytes", "quarantined_bytes", "separator_bytes", "pending_bytes"):
        assert figures[name] == kept[name]
    assert figures["bytes_on_disk"] == kept["bytes_on_disk"]
    assert checks["tests"]["figures"]["tests_run"] > 0


def test_every_hazard_is_accounted_for(settings: Settings) -> None:
    """Of a folder with every known kind of damage, the bytes agree with what was written."""
    truth = _extracted(settings, write_hazards).totals()
    assert _failed(settings) == {}
    figures = _figures(settings, "bytes")
    assert figures["bytes_on_disk"] == truth["size"]
    for name in ("entries", "entry_bytes", "quarantined_bytes", "separator_bytes", "pending_bytes"):
        assert figures[name] == truth[name], name


def test_what_waits_in_the_buffer_counts(settings: Settings) -> None:
    """Before the first extraction the ranges are those of the buffer; nothing is missing."""
    write_sample(settings.claude_dir)
    assert _figures(settings, "bytes")["uncovered_bytes"] == 0
    stages.sync(settings)
    figures = _figures(settings, "bytes")
    assert figures["pending_bytes"] == 0
    assert figures["entry_bytes"] > 0
    assert _failed(settings) == {}


def test_without_anything_nothing_is_wrong(settings: Settings) -> None:
    """Where nothing was read yet all bytes are pending, and there is nothing to prove (exit 6)."""
    truth = write_sample(settings.claude_dir)
    assert _failed(settings) == {}
    (fault,) = _places(settings)
    assert fault.startswith("nothing to prove")
    assert _figures(settings, "ledger")["pending_bytes"] == truth.totals()["size"]


def test_a_byte_that_changes_under_us_is_noticed(settings: Settings) -> None:
    """A file changed in place, with its size and time as before, no longer has its entries."""
    _extracted(settings)
    path = next(settings.claude_dir.rglob("*.jsonl"))
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)

    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert set(_failed(settings)) == {"bytes"}


def test_files_that_changed_grew_or_vanished_since_are_no_fault(settings: Settings) -> None:
    """What happens to the files after the last sync is pending or kept, never a broken promise."""
    _extracted(settings)
    first, second, third = sorted(settings.claude_dir.rglob("*.jsonl"))[:3]
    with first.open("ab") as file:
        file.write(b'{"type":"user"}\n{"unfinished')
    second.write_bytes(b'{"replaced":true}\n')
    third.unlink()
    assert _failed(settings) == {}
    assert _figures(settings, "bytes")["pending_bytes"] > 0
    stages.sync(settings)
    stages.extract(settings)
    assert _failed(settings) == {}
    figures = _figures(settings, "ledger")
    assert figures["files_vanished"] == 1
    assert figures["pending_bytes"] == len(b'{"unfinished')


def test_a_lake_file_that_was_tampered_with_is_noticed(settings: Settings) -> None:
    """A row of the lake whose bytes no longer hash to its id is named with its place."""
    _extracted(settings)
    path = next(settings.lake_folder.rglob("data/**/*.parquet"))
    table = pq.read_table(path)
    raw = table.column("raw").to_pylist()
    raw[0] = raw[0].replace("{", "[", 1)
    field = table.schema.field("raw")
    column = table.schema.get_field_index("raw")
    changed = table.set_column(column, field, pa.array(raw, field.type))
    pq.write_table(changed, path, compression="zstd")
    assert "identities" in _failed(settings)


def test_a_record_that_the_lake_lost_is_noticed(settings: Settings) -> None:
    """A buffered record that was handed over and is not in the lake is counted."""
    _extracted(settings)
    with sqlite3.connect(settings.sqlite_path) as buffer:
        buffer.execute("update records set entry_id = randomblob(16) where seq = 3")
    buffer.close()
    assert "1 records" in _failed(settings, deep=False)["lake"]


def test_a_ledger_that_does_not_add_up_is_noticed(settings: Settings) -> None:
    """Counters of a file that are not the bytes that were judged are a broken ledger."""
    _extracted(settings)
    with sqlite3.connect(settings.sqlite_path) as buffer:
        buffer.execute("update files set entry_bytes = entry_bytes - 1 where file_id = 1")
    buffer.close()
    assert "ledger" in _failed(settings, deep=False)


def test_bronze_and_build_are_compared_with_what_they_came_from(settings: Settings) -> None:
    """A doubled or missing entry of bronze, and a build that shows other rows, are named."""
    write_sample(settings.claude_dir)
    stages.pipeline(settings)
    assert validation._bronze(settings).faults == check_build(settings).faults == ()
    with duckdb.connect(str(settings.warehouse_file)) as warehouse:
        entries = "bronze.stg_claude_code__entries"
        warehouse.execute(f"insert into {entries} select * from {entries} limit 1")
        warehouse.execute("delete from gold.dim_sessions")
    assert "duplicates" in validation._bronze(settings).faults[0]
    assert "dim_sessions" in check_build(settings).faults[0]
    with duckdb.connect(str(settings.warehouse_file)) as warehouse:
        warehouse.execute("delete from bronze.stg_claude_code__entries")
    assert "missing" in validation._bronze(settings).faults[0]


def test_the_real_transcripts_are_accounted_for(settings: Settings, real_transcripts: Path) -> None:
    """Of the real transcripts every one of the 33,799,495 bytes is in its place."""
    settings = settings.model_copy(update={"claude_dir": real_transcripts / "projects"})
    stages.sync(settings)
    stages.extract(settings)
    report = validation.validate(settings, deep=True)
    assert [check.name for check in report.checks if check.faults] == []
    figures = next(check.figures for check in report.checks if check.name == "bytes")
    parts = ("entry_bytes", "quarantined_bytes", "separator_bytes", "pending_bytes")
    assert sum(figures[name] for name in parts) == figures["bytes_on_disk"] == 33_799_495


def test_a_full_build_that_was_cut_short_is_told(settings: Settings, tmp_path: Path) -> None:
    """Until the next transform has finished it, validate and publish say so, and nothing breaks."""
    _extracted(settings)
    stages.load(settings)
    stages.transform(settings)
    build = stages.publish(settings).build_id
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT_FOLDER, project, ignore=shutil.ignore_patterns("target", "logs"))
    broken = next(project.rglob("fct_api_responses.sql"))
    broken.write_text(broken.read_text() + "\nno sql")
    with pytest.raises(WarehouseError, match="fct_api_responses"):
        transform(settings, project=project, full_refresh=True)
    elsewhere = settings.model_copy(update={"publish_path": tmp_path / "published"})
    for reads in (validation.validate, stages.publish):
        with pytest.raises(WarehouseError, match="did not come to its end") as found:
            reads(elsewhere)
        assert "`annals transform`" in found.value.hint
    assert not stages.publish(settings).published, "what was published stays"
    assert stages.transform(settings).full_refresh
    assert stages.publish(settings).build_id != build
    assert _failed(settings) == {}
