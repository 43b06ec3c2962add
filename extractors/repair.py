"""Repair damaged data files of the lake: their rows are appended to new files from whole copies.

A row is known by its position (agent and seq), which every record up to the lake's cursor has in
some data file. So what a source holds up to the cursor, and what no whole file has, was in a
damaged one. A file is dropped from the table, in the commit that appends its rows, only if all of
its rows were found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics.errors import AnalyticsError, SourceGapError
from analytics.files import set_aside
from analytics.settings import Settings
from analytics.transcripts import Record
from analytics.transcripts.verification import is_verified
from extractors.backfill import everything_held
from extractors.cursor import SnapshotKind
from extractors.entries import MICROSECONDS_PER_DAY, to_arrow
from extractors.lake import Lake, open_lake
from extractors.lake.recovery import recover_head
from extractors.salvage import rows_table, salvage_rows

Position = tuple[str, int]
Copies = Callable[[Path], Iterable[dict[str, Any]]]
"""Returns the rows that other copies of a damaged data file have, such as one of a backup."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did: ``rows_missing`` were found nowhere, so that nothing of it was changed.

    ``files`` are the damaged files, ``set_aside`` what they are called now.
    """

    files: tuple[str, ...] = ()
    rows_appended: int = 0
    rows_missing: int = 0
    recovered_metadata: str | None = None
    set_aside: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the lake is whole now."""
        return not self.rows_missing


def repair_lake(
    settings: Settings, *, dry_run: bool = False, copies: Copies | None = None
) -> RepairReport:
    """Repair the catalog, the metadata and the data files of the lake from whole copies.

    The rows of a damaged data file come from its undamaged pages, from transcripts, from the
    buffer or MongoDB, and from ``copies``. Raises LakeDamageError if the metadata has no whole
    version, and what reading a source raises.
    """
    recovered = None if dry_run else recover_head(settings)
    metadata = str(recovered.metadata) if recovered else None
    aside = tuple(map(str, recovered.set_aside)) if recovered else ()
    with open_lake(settings, create=not dry_run) as lake:
        damaged = lake.damaged_files()
        if not damaged:
            return RepairReport(recovered_metadata=metadata, set_aside=aside)
        names = tuple(path for path, _ in damaged)
        found = _rows(settings, lake, damaged, copies)
        missing = max(sum(rows for _, rows in damaged) - len(found), 0)
        if missing or dry_run:
            return RepairReport(names, 0, missing, metadata, aside)
        _replace(lake, names, list(found.values()))
    kept = tuple(str(set_aside(Path(name))) for name in names if Path(name).exists())
    return RepairReport(names, len(found), 0, metadata, (*aside, *kept))


def _rows(
    settings: Settings, lake: Lake, damaged: list[tuple[str, int]], copies: Copies | None
) -> dict[Position, dict[str, Any]]:
    """Return the rows of the damaged files that whole copies have, by their positions."""
    whole = lake.positions(without={path for path, _ in damaged})
    wanted = sum(rows for _, rows in damaged)
    found: dict[Position, dict[str, Any]] = {}
    for path, _ in damaged:
        _add(found, salvage_rows(Path(path)), whole)
    for path, _ in damaged if copies else ():
        _add(found, copies(Path(path)) if copies else (), whole)
    if len(found) < wanted:
        for agent_id, through in lake.cursor().positions.items():
            for batch in _held(settings, agent_id, through):
                new = [one for one in batch if (agent_id, one.seq) not in found]
                new = [one for one in new if (agent_id, one.seq) not in whole and is_verified(one)]
                if new:
                    _add(found, to_arrow(new, agent_id=agent_id).to_pylist(), whole)
    return found


def _add(
    found: dict[Position, dict[str, Any]],
    rows: Iterable[dict[str, Any]],
    whole: set[Position],
) -> None:
    for row in rows:
        position = (row["agent_id"], row["seq"])
        if position not in whole:
            found.setdefault(position, row)


def _held(settings: Settings, agent_id: str, through: int) -> Iterator[list[Record]]:
    """Yield the records of an agent that the local buffer and MongoDB hold, up to a seq."""
    from extractors.local import LocalSource  # noqa: PLC0415 -- only for a repair

    sources: list[Any] = []
    if settings.sqlite_path.exists():
        sources.append(LocalSource(settings.sqlite_path))
    if settings.mongo_uri is not None:
        from extractors.mongo import MongoSource  # noqa: PLC0415 -- the driver

        sources.append(MongoSource(settings))
    for source in sources:
        with closing(source) if hasattr(source, "close") else nullcontext():
            try:
                if agent_id in source.committed():
                    yield from everything_held(source, agent_id, through)
            except SourceGapError:
                continue
            except AnalyticsError:
                if source is sources[-1]:
                    raise


def _replace(lake: Lake, names: Iterable[str], rows: list[dict[str, Any]]) -> None:
    by_day: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        microseconds = int(row["ingested_at"].timestamp() * 1_000_000)
        by_day[microseconds // MICROSECONDS_PER_DAY].append(row)
    ordered = {
        day: sorted(some, key=lambda row: (row["session_id"] or "", row["seq"]))
        for day, some in by_day.items()
    }
    files = [lake.write(rows_table(some), day=day) for day, some in sorted(ordered.items())]
    lake.replace(files, names=set(names), cursor=lake.cursor(), kind=SnapshotKind.REPAIR)
