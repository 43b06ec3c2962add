"""Builds in the order of publishing, whatever a clock shows."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.builds import CATALOG, build_number, is_open, next_build, remove_old

SHARED = [HealthCheck.function_scoped_fixture]
RIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def _publish(builds: Path, days: float, *, kept: int = 3) -> str:
    """Make a build as a publish does, with a clock that is wrong by so many days."""
    links = sorted(builds.parent.glob("current"))
    previous = links[0].resolve() if links else None
    build = next_build(builds, at_least=None, clock=lambda: RIGHT + timedelta(days=days))
    build.mkdir()
    (build / CATALOG).touch()
    (builds.parent / "current").unlink(missing_ok=True)
    (builds.parent / "current").symlink_to(build)
    remove_old(builds, build, previous=previous, kept=kept)
    return build.name


@given(days=st.lists(st.floats(-400, 400), min_size=1, max_size=12), kept=st.integers(2, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
def test_the_builds_published_last_stay(
    tmp_path_factory: pytest.TempPathFactory, days: list[float], kept: int
) -> None:
    """BUILDS_KEPT keeps the builds published last, for clocks wrong by up to 400 days."""
    builds = tmp_path_factory.mktemp("published") / "builds"
    builds.mkdir()
    names = [_publish(builds, wrong, kept=kept) for wrong in days]
    assert {path.name for path in builds.iterdir()} == set(names[-kept:])
    numbers = [build_number(name) for name in names]
    assert numbers == sorted(set(map(int, map(str, numbers))))


def test_builds_of_older_versions_are_older(tmp_path: Path) -> None:
    """A name without a number that claims the future goes before any build with one."""
    builds = tmp_path / "builds"
    for year in (2026, 2031, 2099):
        (builds / f"{year}0101T000000Z-00000000").mkdir(parents=True)
        (builds / f"{year}0101T000000Z-00000000" / CATALOG).touch()
    (tmp_path / "current").symlink_to(builds / "20260101T000000Z-00000000")
    first = _publish(builds, 0)
    assert {path.name for path in builds.iterdir()} >= {first, "20260101T000000Z-00000000"}
    names = {first, *(_publish(builds, -1) for _ in range(2))}
    assert {path.name for path in builds.iterdir()} == names


def test_a_number_is_not_given_twice(tmp_path: Path) -> None:
    """If all folders are gone the number noted in the warehouse still counts."""
    last = "b00000041-20260101T000000Z-00000000"
    assert build_number(next_build(tmp_path, at_least=last, clock=lambda: RIGHT).name) == 42


def test_a_build_that_a_reader_has_open_stays(tmp_path: Path) -> None:
    """Retention passes by what a reader holds, and takes it once that is closed."""
    builds = tmp_path / "builds"
    builds.mkdir()
    held = builds / _publish(builds, 0)
    (held / CATALOG).unlink()
    duckdb.connect(str(held / CATALOG)).close()
    program = f"import duckdb; c = duckdb.connect({str(held / CATALOG)!r}, read_only=True)"
    reader = subprocess.Popen(
        [sys.executable, "-c", f"{program}; print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        assert is_open(held / CATALOG)
        for _ in range(5):
            _publish(builds, 0)
        assert held.exists()
        reader.communicate(b"\n")
    assert not is_open(held / CATALOG)
    _publish(builds, 0)
    assert not held.exists()
