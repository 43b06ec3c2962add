"""The whole way with the lake in an object store, against the same way with it on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from annals.settings.passing import as_environment
from tests.conftest import Built, Run
from tests.operations.test_backup import gold
from tests.servers.lakes import FarLake
from tests.servers.running import free_port

SAMPLE = Path(__file__).parents[2] / "examples" / "transcripts"


@pytest.fixture
def far(far_lake: FarLake, home: Path) -> dict[str, str]:
    """Return the environment of a lake in an object store and the bundled transcripts."""
    return as_environment(far_lake.settings(home, claude_dir=SAMPLE))


@pytest.mark.slow
def test_the_way_is_the_same(
    annals: Run, built: Built, far: dict[str, str], far_lake: FarLake, home: Path
) -> None:
    """All commands work on it, validation proves it whole, and gold is the same to the byte."""
    first = annals("pipeline", "--json", **far)
    assert first.code == 0, first.err
    assert gold(home / "annals") == gold(built.home / ".annals" / "sample")
    for command in (["validate", "--deep"], ["usage", "daily"], ["status"], ["sessions", "list"]):
        done = annals(*command, **far)
        assert done.code == 0, (command, done.out, done.err)
    snapshots = annals("iceberg", "snapshots", "--json", **far).data["snapshots"]
    assert (
        sum(one["records_added"] for one in snapshots)
        == first.data["counters"]["records_extracted"]
    )
    findings = annals("doctor", "--json", **far).data["findings"]
    assert [one["verdict"] for one in findings if one["check"] == "lake"] == ["ok"]
    assert far_lake.files(".parquet")
    assert not list(home.rglob("iceberg"))


@pytest.mark.slow
def test_what_is_added_arrives(annals: Run, far: dict[str, str], home: Path) -> None:
    """A second run reads, loads and builds only what is new, and nothing where nothing is."""
    folder = home / "transcripts" / "-p"
    folder.mkdir(parents=True)
    (folder / "s.jsonl").write_text('{"type":"user","sessionId":"s","uuid":"u"}\n')
    mine = far | {"CLAUDE_DIR": str(folder.parent)}
    assert annals("pipeline", **mine).code == 0
    with (folder / "s.jsonl").open("a") as file:
        file.write('{"type":"user","sessionId":"s","uuid":"v"}\n')
    second = annals("pipeline", "--json", **mine)
    assert second.code == 0, second.err
    assert second.data["counters"]["entries_new"] == 1
    assert second.data["counters"]["sessions_rebuilt"] == 1
    third = annals("pipeline", "--json", **mine).data["counters"]
    assert third["snapshots_committed"] == third["models_built"] == 0
    assert annals("validate", "--json", **mine).code == 0


@pytest.mark.slow
def test_stages_without_the_object_store(
    annals: Run, far: dict[str, str], far_lake: FarLake, home: Path
) -> None:
    """Each stage that needs a missing object store says so; the published build stays."""
    assert annals("pipeline", **far).code == 0
    before = annals("usage", "daily", "--json", **far).data["daily"]
    away = far | {"S3_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    wrong = far | {"AWS_SECRET_ACCESS_KEY": "open-sesame"}
    for command in (["transform", "--full-refresh"], ["validate", "--deep"]):
        lost = annals(*command, **away)
        assert (lost.code, "S3_ENDPOINT" in lost.err) == (4, True), lost.err
        refused = annals(*command, **wrong)
        assert (refused.code, "AWS_SECRET_ACCESS_KEY" in refused.err) == (3, True), refused.err
        assert "open-sesame" not in refused.err + refused.out
    assert annals("usage", "daily", "--json", **far).data["daily"] == before
    repaired = annals("pipeline", **far)
    assert repaired.code == 0, repaired.err
    assert gold(home / "annals")
    assert annals("usage", "daily", "--json", **far).data["daily"] == before


def test_a_file_that_is_gone_is_an_integrity_error(
    annals: Run, far: dict[str, str], far_lake: FarLake
) -> None:
    """A data file that vanished from the bucket stops the run and is named."""
    assert annals("sync", "once", **far).code == 0
    assert annals("extract", **far).code == 0
    (path,) = far_lake.files(".parquet")
    far_lake.objects().delete_file(path)
    done = annals("load", **far)
    assert done.code == 9, done.err
    assert path.rpartition("/")[2] in done.err


@pytest.mark.slow
def test_a_warehouse_whose_object_store_is_no_longer_set(
    annals: Run, far: dict[str, str], home: Path
) -> None:
    """The next commands carry the settings; without them they are named, and nothing is fetched."""
    first = annals("pipeline", **far)
    assert first.code == 0, first.err
    hint = next(line for line in first.out.splitlines() if "validate --deep" in line)
    shared = ("ICEBERG_CATALOG_TYPE", "ICEBERG_CATALOG_URI", "ICEBERG_NAMESPACE", "S3_ENDPOINT")
    assert all(f"{name}={far[name]} " in hint for name in shared)
    assert far["AWS_SECRET_ACCESS_KEY"] not in first.out
    kept = {name: value for name, value in far.items() if "KEY" not in name}
    local = {name: value for name, value in kept.items() if "ICEBERG_CATALOG" not in name}
    for command in (["validate"], ["transform", "--full-refresh"]):  # the latter drops, then fails
        for lacking in (kept, local):
            done = annals(*command, **lacking)
            assert done.code == 3, (command, done.err)
            assert "AWS_ACCESS_KEY_ID" in done.err
            assert ("ICEBERG_CATALOG_TYPE" in done.err) or lacking is kept
            assert "automatically" not in done.err
    assert not (home / ".duckdb").exists()
