"""One lake whose data files can be made to arrive in any order."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from annals.settings import Settings
from extractors.extract import extract
from loaders import entries, prices, warehouse
from loaders.entries import DataFile
from loaders.gold import gold_hashes
from loaders.lake import open_lake
from loaders.load import load
from loaders.transform import transform
from sync_agent.agent.once import sync_once
from tests.accuracy.records import Transcript

Step = tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class Lake:
    """A lake, the data files that each step added to it, and gold as one full build has it."""

    settings: Settings
    steps: Sequence[Step]
    field_ids: dict[str, int]
    gold: dict[str, str]


def lake_of(settings: Settings, steps: Sequence[Iterable[Transcript]]) -> Lake:
    """Take in the transcripts of each step after the other, then build gold once."""
    added: list[Step] = []
    for transcripts in steps:
        for transcript in transcripts:
            transcript.write(settings.claude_dir)
        for stage in (sync_once, extract, load):
            stage(settings)
        known = {file for step in added for file in step}
        added.append(tuple(file for file in _loaded(settings) if file not in known))
    transform(settings, run_tests=False)
    opened = open_lake(settings)
    assert opened is not None
    return Lake(settings, added, dict(opened.field_ids), hashes(settings))


def _loaded(settings: Settings) -> list[DataFile]:
    query = "select file_path, snapshot_id, record_count, file_size from meta.data_files"
    with warehouse.connect(settings, read_only=True) as connection:
        found = [DataFile(*row) for row in connection.execute(query).fetchall()]
    # The snapshot is the one that was read, not the one that wrote: it is not part of a file.
    return [DataFile(file.file_path, 0, file.record_count, file.file_size) for file in found]


def hashes(settings: Settings) -> dict[str, str]:
    """Return a hash of each gold table that does not depend on the order of its rows."""
    with warehouse.connect(settings, read_only=True) as connection:
        return gold_hashes(connection)


def arrive(settings: Settings, lake: Lake, step: Step) -> None:
    """Let the files of a step become visible, as the loader does."""
    with warehouse.connect(settings) as connection:
        prices.materialise_prices(connection, settings)
        with warehouse.transaction(connection):
            entries.add_files(connection, step, is_pending=True)
            entries.point_views(connection, lake.field_ids)
            entries.add_pending_sessions(connection, step, lake.field_ids)


def put_back(settings: Settings, state: Path | None) -> None:
    """Make the warehouse what it was in ``state``, or empty.

    The file keeps its path: dbt reads the whole project again when that changes.
    """
    if state is None:
        settings.warehouse_file.unlink(missing_ok=True)
    else:
        shutil.copy(state, settings.warehouse_file)


def every_order(
    lake: Lake, folder: Path, taken: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], dict[str, str]]]:
    """Yield each order of the steps with the gold that it leads to.

    A batch is built after every step; orders that begin alike share their beginning.
    """
    state = folder / ("-".join(map(str, taken)) + ".db") if taken else None
    for number, step in enumerate(lake.steps):
        if number in taken:
            continue
        order = (*taken, number)
        put_back(lake.settings, state)
        arrive(lake.settings, lake, step)
        transform(lake.settings, run_tests=False)
        if len(order) == len(lake.steps):
            yield order, hashes(lake.settings)
            continue
        shutil.copy(lake.settings.warehouse_file, folder / ("-".join(map(str, order)) + ".db"))
        yield from every_order(lake, folder, order)
