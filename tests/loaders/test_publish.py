"""Publish: a build is whole or not there, costs what changed, and gold can be made again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from annals.errors import DiskFullError, WarehouseError
from annals.settings import Settings
from loaders import gold, warehouse
from loaders import publish as publishing
from loaders.load import load
from loaders.publish import current_build, publish
from loaders.transform import GOLD_REVISION, transform

MONTHS = (1, 2, 3)


def _at(month: int) -> datetime:
    return datetime(2026, month, 10, 12, tzinfo=UTC)


class Gold:
    """A warehouse whose gold tables a test writes itself, as a transform would leave them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._revision = 0
        with warehouse.connect(settings) as connection:
            connection.execute("create schema gold")
            connection.execute(
                "create table gold.fct_api_responses (response_key varchar, session_id varchar,"
                " occurred_at timestamptz, usage_date date, cost_usd decimal(18, 9))"
            )
            connection.execute("create table gold.dim_sessions (session_id varchar, n integer)")

    def add(self, key: str, session: str, month: int | None) -> None:
        """Add a response, as an increment that touches its session."""
        moment = _at(month) if month else None
        self.change(
            session,
            "insert into gold.fct_api_responses values (?, ?, ?, ?, 0.125)",
            [key, session, moment, moment.date() if moment else None],
        )

    def change(self, session: str, query: str, values: list[Any]) -> None:
        """Run a statement on gold, as an increment that touches one session."""
        self._revision += 1
        with warehouse.connect(self.settings) as connection:
            connection.execute("insert into meta.pending_sessions values (?)", [session])
            connection.execute(query, values)
            gold.note_changed_months(connection, everything=False)
            connection.execute("delete from meta.pending_sessions")
            warehouse.set_state(connection, GOLD_REVISION, str(self._revision))

    def hashes(self) -> dict[str, str]:
        """Return the hashes of the warehouse's tables."""
        with warehouse.connect(self.settings) as connection:
            return gold.gold_hashes(connection)

    def published(self) -> dict[str, str]:
        """Return the hashes of the tables that readers see."""
        connection = warehouse.open_build(self.settings)
        try:
            return gold.gold_hashes(connection)
        finally:
            connection.close()


@pytest.fixture
def made(settings: Settings) -> Iterator[Gold]:
    """Return gold with one response a month, published once."""
    written = Gold(settings)
    for month in MONTHS:
        written.add(f"r{month}", f"s{month}", month)
    publish(settings)
    return written


def _inodes(settings: Settings) -> dict[str, int]:
    build = current_build(settings)
    assert build is not None
    return {path.name: path.stat().st_ino for path in build.glob("*.parquet")}


def test_readers_see_the_tables(made: Gold) -> None:
    """The build shows the same tables and rows as the warehouse."""
    assert made.published() == made.hashes()
    assert sorted(made.published()) == ["dim_sessions", "fct_api_responses"]


def test_build_describes_itself(made: Gold) -> None:
    """The catalog says which build, revision, prices, zone and program it is of."""
    connection = warehouse.open_build(made.settings)
    (row,) = connection.execute("select * from meta.build").fetchall()
    names = [column[0] for column in connection.description or ()]
    connection.close()
    build = current_build(made.settings)
    assert build is not None
    described = dict(zip(names, row, strict=True))
    assert described["build_id"] == build.name
    assert described["gold_revision"] == "3"
    assert {"created_at", "price_version", "annals_version"} <= described.keys()


def test_unchanged_gold_is_not_published_again(made: Gold) -> None:
    """The same revision gives no second build."""
    first = current_build(made.settings)
    assert first is not None
    report = publish(made.settings)
    assert (report.published, report.build_id, report.bytes_written) == (False, first.name, 0)
    assert list((made.settings.builds_folder / "builds").iterdir()) == [first]


def test_unchanged_months_are_linked(made: Gold) -> None:
    """Only the month that changed is written; the files of the others are shared."""
    before = _inodes(made.settings)
    made.add("r9", "s9", 2)
    report = publish(made.settings)
    assert report.files_linked == 2
    after = _inodes(made.settings)
    same = {name for name in after if before.get(name) == after[name]}
    assert same == {"fct_api_responses.2026-01.parquet", "fct_api_responses.2026-03.parquet"}
    assert made.published() == made.hashes()


def test_changed_row_is_written_again(made: Gold) -> None:
    """A row that changed in place is published, although its month has as many rows as before."""
    made.change("s1", "update gold.fct_api_responses set cost_usd = 1 where session_id = 's1'", [])
    publish(made.settings)
    assert made.published() == made.hashes()


def test_row_that_moved_leaves_its_month(made: Gold) -> None:
    """Where a response moves to another month both months are written again."""
    moved = _at(3)
    made.change(
        "s1",
        "update gold.fct_api_responses set occurred_at = ?, usage_date = ? where session_id = 's1'",
        [moved, moved.date()],
    )
    publish(made.settings)
    assert made.published() == made.hashes()
    assert "fct_api_responses.2026-01.parquet" not in _inodes(made.settings)


def test_rows_without_a_day_are_published(made: Gold) -> None:
    """A response without a timestamp has a file of its own."""
    made.add("r0", "s0", None)
    publish(made.settings)
    assert made.published() == made.hashes()
    assert "fct_api_responses.undated.parquet" in _inodes(made.settings)


def test_months_changed_between_two_builds_are_all_written(made: Gold) -> None:
    """Two transforms before one publish: what either touched is written."""
    made.change("s1", "update gold.fct_api_responses set cost_usd = 1 where session_id = 's1'", [])
    made.change("s3", "update gold.fct_api_responses set cost_usd = 1 where session_id = 's3'", [])
    assert publish(made.settings).files_linked == 1
    assert made.published() == made.hashes()


def test_lost_file_of_the_build_before_is_written(made: Gold) -> None:
    """Where a file that could be shared is gone, it is written instead."""
    build = current_build(made.settings)
    assert build is not None
    (build / "fct_api_responses.2026-01.parquet").unlink()
    made.add("r9", "s9", 2)
    assert publish(made.settings).files_linked == 1
    assert made.published() == made.hashes()


def test_lost_build_is_published_again(made: Gold) -> None:
    """Where the builds are deleted, the next publish writes one although nothing changed."""
    shutil.rmtree(made.settings.builds_folder)
    report = publish(made.settings)
    assert (report.published, report.files_linked) == (True, 0)
    assert made.published() == made.hashes()


def test_reader_stays_on_its_build(made: Gold) -> None:
    """A reader sees one build from first to last, whatever is published meanwhile."""
    reader = warehouse.open_build(made.settings)
    made.add("r9", "s9", 2)
    publish(made.settings)
    count = "select count(*) from gold.fct_api_responses"
    assert reader.execute(count).fetchone() == (3,)
    assert warehouse.open_build(made.settings).execute(count).fetchone() == (4,)
    reader.close()


def test_old_builds_go_and_the_current_stays(made: Gold) -> None:
    """As many builds as the setting says stay, the newest ones."""
    names = []
    for number in range(5):
        made.add(f"x{number}", "s9", 2)
        names.append(publish(made.settings).build_id)
    kept = {path.name for path in (made.settings.builds_folder / "builds").iterdir()}
    assert len(kept) == made.settings.builds_kept
    assert names[-1] in kept


def test_clock_that_jumps_back_keeps_the_current_build(made: Gold) -> None:
    """Builds whose names claim the future are older than what is published now."""
    builds = made.settings.builds_folder / "builds"
    for second in range(5):
        future = builds / f"29990101T00000{second}Z-00000000"
        future.mkdir()
        (future / publishing.CATALOG).touch()
    made.add("r9", "s9", 2)
    report = publish(made.settings)
    assert (builds / report.build_id).exists()
    assert made.published() == made.hashes()
    assert len(list(builds.iterdir())) == made.settings.builds_kept


def test_leftovers_of_a_killed_publish_go(made: Gold) -> None:
    """Unfinished folders and links of a killed publish are removed, anything else is left."""
    builds = made.settings.builds_folder / "builds"
    for name in ("20260101T000000Z-00000000.tmp", "20260101T000000Z-11111111", "mine"):
        (builds / name).mkdir()
        (builds / name / "fct_api_responses.parquet").touch()
    link = made.settings.builds_folder / "current.20260101T000000Z-11111111"
    link.symlink_to("builds/nowhere")
    made.add("r9", "s9", 2)
    publish(made.settings)
    names = {path.name for path in builds.iterdir()}
    assert "mine" in names
    assert not [name for name in names if name.startswith("20260101")]
    assert not link.is_symlink()


def test_publish_killed_before_it_noted_is_repeated(made: Gold) -> None:
    """Where the link was flipped but not noted, the next run publishes once more."""
    made.add("r9", "s9", 2)
    flipped = publish(made.settings)
    with warehouse.connect(made.settings) as connection:
        warehouse.set_state(connection, "published_build", "another")
        warehouse.set_state(connection, "published_revision", "older")
    again = publish(made.settings)
    assert again.published
    assert again.build_id != flipped.build_id
    assert again.files_linked == 0
    assert made.published() == made.hashes()


def test_failed_publish_leaves_the_current_build(made: Gold) -> None:
    """Where writing fails, readers keep the build they have and nothing is left behind."""
    before = made.published()
    made.change("s1", "create view gold.broken as select error('no') as x from range(1)", [])
    with pytest.raises(WarehouseError):
        publish(made.settings)
    assert made.published() == before
    assert len(list((made.settings.builds_folder / "builds").iterdir())) == 1


@pytest.mark.parametrize("size", ["16k", "40k"])
def test_full_disk_leaves_the_current_build(made: Gold, tmp_path: Path, size: str) -> None:
    """Without room a publish says so, and leaves nothing of its own behind."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    small = made.settings.model_copy(update={"publish_path": disk})
    try:
        with pytest.raises(DiskFullError) as caught:
            publish(small)
        assert caught.value.exit_code == 10
        assert list((disk / "builds").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    assert made.published() == made.hashes()


@settings_of_hypothesis(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "move", "reprice", "drop", "publish"]),
            st.sampled_from(["s1", "s2", "s3"]),
            st.sampled_from([1, 2, 3, 4]),
        ),
        min_size=4,
        max_size=10,
    )
)
def test_published_gold_is_the_warehouse(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    """Whatever changed since the last build, the next one shows what the warehouse has."""
    folder = tmp_path_factory.mktemp("gold")
    made = Gold(Settings(_env_file=None, annals_home=folder))
    made.add("first", "s1", 1)
    for number, (step, session, month) in enumerate(steps):
        day = _at(month).date()
        where = " where session_id = ?"
        table = "gold.fct_api_responses"
        if step == "add":
            made.add(f"r{number}", session, month)
        elif step == "move":
            made.change(session, f"update {table} set usage_date = ?" + where, [day, session])
        elif step == "reprice":
            made.change(session, f"update {table} set cost_usd = ?" + where, [number, session])
        elif step == "drop":
            made.change(session, f"delete from {table}" + where, [session])
        else:
            publish(made.settings)
    publish(made.settings)
    assert made.published() == made.hashes()


def test_same_rows_give_the_same_files(made: Gold) -> None:
    """Files depend on the rows alone, not on the order in which they came."""
    build = current_build(made.settings)
    assert build is not None
    before = {path.name: path.read_bytes() for path in build.glob("*.parquet")}
    with warehouse.connect(made.settings) as connection:
        connection.execute("create table t as from gold.fct_api_responses order by 1 desc")
        connection.execute("delete from gold.fct_api_responses")
        connection.execute("insert into gold.fct_api_responses from t")
        gold.note_changed_months(connection, everything=True)
        warehouse.set_state(connection, GOLD_REVISION, "another")
    assert publish(made.settings).files_linked == 0
    build = current_build(made.settings)
    assert build is not None
    assert {path.name: path.read_bytes() for path in build.glob("*.parquet")} == before


def test_nothing_transformed_is_said(settings: Settings) -> None:
    """Publishing before the first transform says what to run, and leaves no folder."""
    with pytest.raises(WarehouseError, match="nothing to publish") as caught:
        publish(settings)
    assert "annals transform" in caught.value.hint
    assert not settings.builds_folder.exists()


def test_gold_is_made_again_from_the_lake(settings: Settings, lake: Any, small_dbt: Path) -> None:
    """Without warehouse and builds, load, transform and publish give the same gold."""
    for month in MONTHS:
        lake.append(
            lake.entry("s1", {"key": f"a{month}"}, timestamp=_at(month)),
            lake.entry(f"s{month}", {"key": f"b{month}"}, timestamp=_at(month)),
        )
        load(settings)
        transform(settings, project=small_dbt)
        publish(settings)
    connection = warehouse.open_build(settings)
    before = gold.gold_hashes(connection)
    connection.close()
    settings.warehouse_file.unlink()
    shutil.rmtree(settings.builds_folder)
    load(settings)
    transform(settings, project=small_dbt)
    publish(settings)
    connection = warehouse.open_build(settings)
    assert gold.gold_hashes(connection) == before
    connection.close()


def test_hashes_see_values_types_and_duplicates(settings: Settings) -> None:
    """The hash of a table changes with a value, a type, a name or a second copy of a row."""
    seen = set()
    with warehouse.connect(settings) as connection:
        connection.execute("create schema gold")
        for query in (
            "select 1 as a",
            "select 2 as a",
            "select 1::bigint as a",
            "select 1 as b",
            "select null::integer as a",
            "select 1 as a from range(2)",
            "select 1 as a from range(3)",
            "select 1 as a where false",
        ):
            connection.execute(f"create or replace table gold.t as {query}")
            seen.add(gold.gold_hashes(connection)["t"])
    assert len(seen) == 8
