"""Repair damaged data files of the lake from whole copies of their rows.

A row is known by its position (agent and seq), which every record up to the lake's cursor has in
some data file. So what a source holds up to the cursor, and what no whole file has, was in a
damaged one. If the rows give the bytes that the file had, it is put back as it was. Else its rows
are appended to new files, and it is dropped from the table in the same commit; only if all of its
rows were found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annals.errors import AnalyticsError, SourceGapError
from annals.files import set_aside
from annals.lake.content import hash_file, named_hash
from annals.records import Record
from annals.records.verification import is_verified
from annals.settings import Settings
from extractors.backfill import everything_held
from extractors.cursor import SnapshotKind
from extractors.entries import MICROSECONDS_PER_DAY, to_arrow
from extractors.lake import Lake, open_lake
from extractors.lake.recovery import recover_head
from extractors.lake.restoring import Span, restore_copy, restore_rows, salvage, spans
from extractors.salvage import rows_table, salvage_rows

Row = dict[str, Any]
Position = tuple[str, int]
Copies = Mapping[str, Path]
"""Files that may be whole copies of damaged ones, such as those of a backup, by their names."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did: ``rows_missing`` were found nowhere, so that nothing of it was changed.

    ``files`` are the damaged files, ``set_aside`` what they are called now. ``rows_appended``
    were found, and are in whole files now (or would be, if it was only a look).
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


@dataclass(slots=True)
class _Damaged:
    """The damaged data files by path, what each should have, and the rows that were found."""

    rows: dict[str, int]
    spans: dict[str, Span]
    whole: set[Position]
    through: Mapping[str, int]
    found: dict[Position, Row] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        return max(sum(self.rows.values()) - len(self.found), 0)

    def needs(self, position: Position) -> bool:
        """Return whether a row at this position was in a damaged file and is not found yet."""
        agent_id, seq = position
        return (
            position not in self.whole
            and position not in self.found
            and seq <= self.through.get(agent_id, 0)
            and any(span.has(agent_id, seq) for span in self.spans.values())
        )

    def add(self, rows: Iterable[Row]) -> None:
        """Keep the rows that are needed."""
        for row in rows:
            position = (row["agent_id"], row["seq"])
            if self.needs(position):
                self.found[position] = row

    def rows_of(self, path: str) -> list[Row]:
        """Return the rows that were found of one file."""
        return [row for position, row in self.found.items() if self.spans[path].has(*position)]


def repair_lake(
    settings: Settings, *, dry_run: bool = False, copies: Copies | None = None
) -> RepairReport:
    """Repair the catalog, the metadata and the data files of the lake from whole copies.

    The rows of a damaged data file come from its undamaged pages, from ``copies``, from
    transcripts, and from the buffer or MongoDB. Raises LakeDamageError if the metadata has no
    whole version, and what reading a source raises.
    """
    copies = copies or {}
    recovered = None if dry_run else recover_head(settings)
    metadata = str(recovered.metadata) if recovered else None
    aside = list(map(str, recovered.set_aside)) if recovered else []
    with open_lake(settings, create=not dry_run) as lake:
        everything = dict(lake.damaged_files())
        names = tuple(everything)
        if not names:
            return RepairReport(recovered_metadata=metadata, set_aside=tuple(aside))
        copied = {name: rows for name, rows in everything.items() if _is_copied(name, copies)}
        rest = {name: rows for name, rows in everything.items() if name not in copied}
        damaged = _find(settings, lake, rest, copies, without=set(names))
        missing = damaged.missing
        found = 0 if missing else sum(copied.values()) + len(damaged.found)
        if not missing and not dry_run:
            aside += _put_back(lake, copied, copies)
            aside += _write(lake, damaged)
    return RepairReport(names, found, missing, metadata, tuple(aside))


def _is_copied(name: str, copies: Copies) -> bool:
    copy = copies.get(Path(name).name)
    return copy is not None and hash_file(copy) == named_hash(name)


def _put_back(lake: Lake, names: Iterable[str], copies: Copies) -> Iterator[str]:
    """Put whole copies in the places of damaged files; yield what these are called now."""
    for name in names:
        if kept := restore_copy(lake, name, copies[Path(name).name]):
            yield kept


def _find(
    settings: Settings, lake: Lake, rows: dict[str, int], copies: Copies, *, without: set[str]
) -> _Damaged:
    """Return the damaged files with all rows of them that whole copies have."""
    positions = lake.cursor().positions
    damaged = _Damaged(rows, spans(lake, rows), set(), positions)
    if not rows:
        return damaged
    damaged.whole = lake.positions(without=without)
    for name in rows:
        damaged.add(salvage(lake, name))
    named = [copies[Path(name).name] for name in rows if Path(name).name in copies]
    for copy in (*named, *copies.values()):
        if damaged.missing:
            damaged.add(salvage_rows(copy))
    for agent_id, through in positions.items():
        if damaged.missing:
            for batch in _held(settings, agent_id, through):
                new = [one for one in batch if damaged.needs((agent_id, one.seq))]
                new = [one for one in new if is_verified(one)]
                damaged.add(to_arrow(new, agent_id=agent_id).to_pylist() if new else ())
    return damaged


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


def _write(lake: Lake, damaged: _Damaged) -> Iterator[str]:
    """Write the rows that were found; yield what the damaged files are called now."""
    replaced = []
    for name, rows in damaged.rows.items():
        found = damaged.rows_of(name)
        table = rows_table(_ordered(found))
        kept = restore_rows(lake, name, table) if len(found) == rows else None
        if kept is None:
            replaced.append(name)
            continue
        for row in found:
            del damaged.found[row["agent_id"], row["seq"]]
        if kept:
            yield kept
    if replaced:
        _replace(lake, replaced, list(damaged.found.values()))
    for name in replaced:
        if "://" not in name and Path(name).exists():
            yield str(set_aside(Path(name)))


def _replace(lake: Lake, names: Iterable[str], rows: list[Row]) -> None:
    by_day: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        microseconds = int(row["ingested_at"].timestamp() * 1_000_000)
        by_day[microseconds // MICROSECONDS_PER_DAY].append(row)
    files = [
        lake.write(rows_table(_ordered(some)), day=day) for day, some in sorted(by_day.items())
    ]
    lake.replace(files, names=set(names), cursor=lake.cursor(), kind=SnapshotKind.REPAIR)


def _ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["session_id"] or "", row["seq"]))
