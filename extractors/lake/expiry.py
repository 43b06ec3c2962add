"""Expire old snapshots, and delete the files that no kept snapshot reaches.

Every commit copies the whole table metadata, so its cost follows the number of kept snapshots. An
expiry runs in the extractor's own run, in bounded steps. It works in two phases:

1. One commit removes the snapshots from the metadata. The same commit notes their manifest lists
   in the table property ``annals.expired``.
2. The files that only those lists reach are deleted, the manifest lists last. A run that is
   killed here leaves the note and at least one list, and the next run continues.

Correctness does not depend on a clock: snapshots are ordered by their sequence numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestFile, read_manifest_list
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.table.update import AssertRefSnapshotId
from pyiceberg.table.update.snapshot import ExpireSnapshots

from extractors.lake.table import Lake, faults

STEP = 400
"""Snapshots that one run expires at most: about a second of work."""

NOTE = "annals.expired"
"""Table property: what the last expiry removed, so that its second phase can be continued."""


_UUID = r"(?P<commit>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_LIST_NAME = re.compile(rf"/snap-\d+-\d+-{_UUID}\.avro$")
_MANIFEST_NAME = re.compile(rf"/{_UUID}-m(?P<number>\d+)\.avro$")


@dataclass(frozen=True, slots=True)
class Retention:
    """Which snapshots are kept: the newest ones, one a day, and those that a rollback reaches."""

    snapshots: int
    days: int
    reach: int


@dataclass(frozen=True, slots=True)
class ExpiryReport:
    """What an expiry did: snapshots that were removed, and files that were deleted."""

    snapshots: int = 0
    files: int = 0


def expire(lake: Lake, retention: Retention) -> ExpiryReport:
    """Remove old snapshots if twice as many as wanted are there; finish an interrupted removal.

    If another process commits at the same moment, nothing is removed and the next run tries
    again. Nothing is removed either while a file is missing that a kept snapshot reaches: what
    it names would pass for unreached. Raises what a commit raises.
    """
    table = lake.table
    with faults(lake.location, table):
        files = _delete_noted_files(lake)
        if files is None:
            return ExpiryReport()
        expired = _due(table.metadata, retention)
        if not expired:
            return ExpiryReport(files=files)
        try:
            _remove_snapshots(table, expired)
        except CommitFailedException:
            return ExpiryReport(files=files)
        return ExpiryReport(len(expired), files + (_delete_noted_files(lake) or 0))


def _due(metadata: TableMetadata, retention: Retention) -> list[Snapshot]:
    """Return this step's snapshots, oldest first; none below twice the number to keep."""
    ordered = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    if len(ordered) < 2 * retention.snapshots:
        return []
    kept = {snapshot.snapshot_id for snapshot in ordered[-retention.snapshots :]}
    kept |= {reference.snapshot_id for reference in metadata.refs.values()}
    kept |= _newest_of_each_day(ordered, retention.days)
    kept |= _reachable_by_rollback(metadata, retention.reach)
    return [snapshot for snapshot in ordered if snapshot.snapshot_id not in kept][:STEP]


def _newest_of_each_day(ordered: Iterable[Snapshot], days: int) -> set[int]:
    """Return the newest snapshot of each of the newest ``days`` days that have one."""
    newest: dict[date, int] = {}
    for snapshot in ordered:
        day = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).date()
        newest.pop(day, None)  # the order of the keys is that of the newest snapshot of each day
        newest[day] = snapshot.snapshot_id
    return set(list(newest.values())[-days:]) if days else set()


def _reachable_by_rollback(metadata: TableMetadata, reach: int) -> set[int]:
    """Return the newest ``reach`` snapshots of the lineage, down to the newest with a cursor."""
    current = metadata.snapshot_by_id(metadata.current_snapshot_id or -1)
    found: set[int] = set()
    has_cursor = False
    for depth, snapshot in enumerate(ancestors_of(current, metadata)):
        if depth >= reach and has_cursor:
            break
        found.add(snapshot.snapshot_id)
        has_cursor = has_cursor or Lake.carries_cursor(snapshot)
    return found


def _remove_snapshots(table: Table, expired: list[Snapshot]) -> None:
    metadata = table.metadata
    note = {
        "lists": [snapshot.manifest_list for snapshot in expired],
        "data": not _is_append_only(metadata, expired),
    }
    head = metadata.current_snapshot_id
    with table.transaction() as transaction:
        transaction.set_properties({NOTE: json.dumps(note)})
        ExpireSnapshots(transaction).by_ids([one.snapshot_id for one in expired]).commit()
        # A rollback at this moment could make one of them the newest snapshot.
        transaction._apply((), (AssertRefSnapshotId(ref="main", snapshot_id=head),))  # noqa: SLF001 -- no other way to require it


def _is_append_only(metadata: TableMetadata, expired: Iterable[Snapshot]) -> bool:
    """Return whether all data files of the expired snapshots are for certain in the newest one."""
    current = metadata.snapshot_by_id(metadata.current_snapshot_id or -1)
    lineage = list(ancestors_of(current, metadata))
    appended = all(one.summary and one.summary.operation.value == "append" for one in lineage)
    return appended and {one.snapshot_id for one in expired} <= {one.snapshot_id for one in lineage}


def _delete_noted_files(lake: Lake) -> int | None:
    """Delete what only the noted manifest lists reach; return the number of deleted files.

    None where that cannot be told, because a file of a kept snapshot is missing.
    """
    table = lake.table
    note = json.loads(table.properties.get(NOTE, "{}"))
    lists: list[str] = note.get("lists", [])
    kept = {snapshot.manifest_list for snapshot in table.metadata.snapshots}
    lists = [path for path in lists if path not in kept]
    # Lists are deleted in order: if the last one is gone, all of them are.
    if not lists or not table.io.new_input(lists[-1]).exists():
        return 0
    reached = dict(_manifests(table.io, kept))
    needed = (*kept, *reached)
    if not all(table.io.new_input(path).exists() for path in needed):
        return None
    known = dict(_manifests(table.io, lists))
    dead = {path: manifest for path, manifest in known.items() if path not in reached}
    data = _dead_data_files(table, dead, reached) if note.get("data", True) else set()
    merged = _merged_away(lists, {*known, *reached}) - reached.keys() - dead.keys()
    files = (*sorted(data), *sorted(merged), *dead, *lists)
    deleted = sum(_delete(table.io, path) for path in files)
    lake.checksums.forget(files)
    return deleted


def _merged_away(lists: Iterable[str], manifests: Iterable[str]) -> set[str]:
    """Return the manifests that a removed commit wrote and at once merged into another one.

    No list ever names them. The files of one commit carry its UUID and are numbered.
    """
    commits = {match["commit"] for path in lists if (match := _LIST_NAME.search(path))}
    found: set[str] = set()
    for path in manifests:
        match = _MANIFEST_NAME.search(path)
        if match and match["commit"] in commits:
            folder, commit = path[: match.start()], match["commit"]
            found.update(
                f"{folder}/{commit}-m{number}.avro" for number in range(int(match["number"]))
            )
    return found


def _manifests(io: FileIO, lists: Iterable[str]) -> Iterator[tuple[str, ManifestFile]]:
    """Yield path and manifest of every manifest in these lists; a list that is gone has none."""
    for location in lists:
        file = io.new_input(location)
        try:
            manifests = list(read_manifest_list(file))
        except FileNotFoundError:
            continue
        yield from ((manifest.manifest_path, manifest) for manifest in manifests)


def _dead_data_files(
    table: Table, dead: Mapping[str, ManifestFile], reached: Mapping[str, ManifestFile]
) -> set[str]:
    """Return the data files that the dead manifests name and no kept snapshot reaches."""
    candidates = _data_files(table.io, dead.values())
    return candidates - _data_files(table.io, reached.values()) if candidates else candidates


def _data_files(io: FileIO, manifests: Iterable[ManifestFile]) -> set[str]:
    found: set[str] = set()
    for manifest in manifests:
        try:
            entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
        except FileNotFoundError:  # deleted before the run was killed
            continue
        found.update(entry.data_file.file_path for entry in entries)
    return found


def _delete(io: FileIO, path: str) -> int:
    try:
        io.delete(path)
    except FileNotFoundError:
        return 0
    return 1
