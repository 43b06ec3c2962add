"""Kill any stage at any point and run it again: the same gold, no duplicate, nothing lost.

``make sweep`` sets SWEEP_POINTS (200 or more); the suite runs a short form of the same code.
Every stage is killed in the middle of an increment: half of the transcripts went through all
stages before, the other half is new.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annals.settings import Settings
from examples.generator import write_hazards, write_sample
from tests.sweep import killing, stages

POINTS = int(os.environ.get("SWEEP_POINTS", "8"))
SHARES = {"sync": 0.42, "extract": 0.34, "load": 0.08, "transform": 0.08, "publish": 0.08}
DEATHS_BETWEEN_COMPARISONS = 4


def points(stage: str) -> int:
    """Return how many deaths fall to a stage; at least two."""
    return max(2, round(POINTS * SHARES[stage]))


def grow(source: Path, target: Path, *, whole: bool) -> None:
    """Append to the transcripts in ``target`` what those in ``source`` have beyond them.

    Unless ``whole``, a third of the files stays away and a third ends at a newline in its middle.
    """
    paths = sorted(p for p in source.rglob("*.jsonl") if p.is_file() and not p.is_symlink())
    for number, path in enumerate(paths):
        data = path.read_bytes()
        middle = data.find(b"\n", len(data) // 2) + 1
        share = len(data) if whole else (0, middle, len(data))[number % 3]
        if share:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with copy.open("ab") as file:
                file.write(data[file.tell() : share])


@dataclass
class World:
    """A state folder that can be put back to what it was before a stage ran."""

    root: Path
    settings: Settings

    @property
    def state(self) -> Path:
        """The folder of buffer, lake, warehouse and builds."""
        return self.root / "state"

    def save(self, name: str) -> None:
        """Keep the state under a name."""
        shutil.copytree(self.state, self.root / name, symlinks=True)

    def restore(self, name: str) -> None:
        """Put the state back to what it was; the lake's files keep their absolute paths."""
        shutil.rmtree(self.state)
        shutil.copytree(self.root / name, self.state, symlinks=True)


@dataclass(frozen=True)
class Truth:
    """What an undisturbed run gives."""

    ids: list[str]
    gold: dict[str, str]
    rows: int
    ledger: dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a state in which half of the transcripts went through, saved before every stage."""
    root = tmp_path_factory.mktemp("sweep")
    transcripts, source = root / "transcripts", root / "source"
    write_sample(source)
    write_hazards(source)
    settings = Settings(
        _env_file=None,
        claude_dir=transcripts,
        sqlite_path=root / "state" / "buffer.db",
        annals_home=root / "state" / "home",
        timezone="Europe/Berlin",
        host_name="sweep",
    )
    world = World(root, settings)
    grow(source, transcripts, whole=False)
    killing.run(stages.everything, settings)
    grow(source, transcripts, whole=True)
    order = ("sync", "extract", "load", "transform", "publish")
    work = (stages.sync, stages.to_lake, stages.to_warehouse, stages.to_gold, stages.to_build)
    for name, stage in zip(order, work, strict=True):
        world.save(name)
        killing.run(stage, settings)
    world.save("done")
    return world


@pytest.fixture(scope="module")
def truth(world: World) -> Truth:
    """Return the results of the undisturbed run; an id stands there twice only for copies."""
    return Truth(
        ids=killing.run(stages.buffered, world.settings),
        gold=killing.run(stages.gold, world.settings),
        rows=killing.run(stages.published, world.settings),
        ledger=killing.run(stages.ledger, world.settings),
    )


def deaths(world: World, stage: str, work: killing.Work) -> Iterator[tuple[int, killing.Moment]]:
    """Yield the moments at which a stage is to die, each with its number."""
    world.restore(stage)
    calls = killing.calls(work, world.settings)
    world.restore(stage)
    extent = killing.Extent(calls, killing.seconds(work, world.settings))
    yield from enumerate(extent.moments(points(stage)))


def test_sync_killed_anywhere_reads_everything_once(world: World, truth: Truth) -> None:
    """After a death in sync the next run has every record once, and every byte accounted for."""
    killed = 0
    for _, moment in deaths(world, "sync", stages.sync):
        world.restore("sync")
        killed += killing.kill(moment, stages.sync, world.settings)
        killing.run(stages.sync, world.settings)
        assert killing.run(stages.buffered, world.settings) == truth.ids, moment
        assert killing.run(stages.ledger, world.settings) == truth.ledger, moment
    assert killed >= points("sync") // 2


def test_extract_killed_anywhere_appends_everything_once(world: World, truth: Truth) -> None:
    """After a death in extract the next run leaves every record in the lake exactly once."""
    killed = 0
    for _, moment in deaths(world, "extract", stages.to_lake):
        world.restore("extract")
        killed += killing.kill(moment, stages.to_lake, world.settings)
        killing.run(stages.to_lake, world.settings)
        killing.run(stages.to_warehouse, world.settings)
        assert killing.run(stages.in_lake, world.settings) == truth.ids, moment
    assert killed >= points("extract") // 2


@pytest.mark.parametrize(
    ("stage", "work"),
    [
        ("load", stages.to_warehouse),
        ("transform", stages.to_gold),
        ("publish", stages.to_build),
    ],
)
def test_later_stages_killed_anywhere_give_the_same_gold(
    world: World, truth: Truth, stage: str, work: killing.Work
) -> None:
    """After deaths in a later stage the run that follows gives the same gold and a whole build."""
    killed = 0
    moments = list(deaths(world, stage, work))
    world.restore(stage)
    for number, moment in moments:
        killed += killing.kill(moment, work, world.settings)
        assert killing.run(stages.published, world.settings) > 0, "readers see a whole build"
        if number % DEATHS_BETWEEN_COMPARISONS == 0 or number == len(moments) - 1:
            killing.run(stages.everything, world.settings)
            assert killing.run(stages.gold, world.settings) == truth.gold, moment
            assert killing.run(stages.published, world.settings) == truth.rows, moment
            bronze = killing.run(stages.in_bronze, world.settings)
            assert len(bronze) == len(set(bronze)), moment
            world.restore(stage)
    assert killed >= points(stage) // 2
