"""The table: one append-only Iceberg table whose newest snapshot also says how far it has come.

A commit is compare-and-set on the snapshot that the cursor was read from: the table forbids blind
retries (``commit.retry.num-retries=0``), which would lay an old cursor over a newer one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError as UnreadableAnswer
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, RESTError
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from sqlalchemy.exc import DBAPIError

from annals.errors import AnalyticsError, ConflictError, IntegrityError, LakeError
from annals.lake import catalog_server_fault
from annals.lake.checksums import Checksums, metadata_files
from annals.lake.content import content_hash
from annals.lake.damage import data_file_place, find_damage, is_whole, live_files
from extractors.cursor import KIND, Cursor, SnapshotKind, from_summary, to_summary
from extractors.entries import SCHEMA
from extractors.faults import catalog_fault, lake_fault
from extractors.files import write_parquet


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A data file that is on disk and waits for its commit. ``size`` is in bytes."""

    path: str
    rows: int
    size: int
    data_file: DataFile


@dataclass(frozen=True, slots=True)
class LakeInfo:
    """What the lake holds now. ``bytes`` counts data files only."""

    table_uuid: str
    location: str
    files: int
    rows: int
    bytes: int
    snapshots: int
    current_snapshot_id: int | None
    positions: dict[str, int]


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot: what it added, and the positions it carries (None: another program's)."""

    snapshot_id: int
    parent_id: int | None
    committed_at: datetime
    kind: str
    records_added: int
    files_added: int
    bytes_added: int
    positions: dict[str, int] | None


class Lake:
    """The table as it was when it was opened, or after this object's own last commit."""

    def __init__(self, catalog: Catalog, table: Table, *, place: str, checksums: Checksums) -> None:
        self._catalog = catalog
        self._table = table
        self._place = place
        self.checksums = checksums

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the catalog's connections."""
        self._catalog.close()

    @property
    def table(self) -> Table:
        """The table, for the other modules of this package."""
        return self._table

    @staticmethod
    def carries_cursor(snapshot: Snapshot) -> bool:
        """Return whether this snapshot carries a cursor itself."""
        return _cursor_of(snapshot) is not None

    @property
    def location(self) -> str:
        """Where the table's files are."""
        return self._table.location()

    @property
    def table_uuid(self) -> str:
        """The table's UUID: the name under which the lake acknowledges."""
        return str(self._table.metadata.table_uuid)

    @property
    def snapshot_id(self) -> int | None:
        """The snapshot that the next commit builds on."""
        return self._table.metadata.current_snapshot_id

    def cursor(self) -> Cursor:
        """Return the cursor of the nearest ancestor snapshot that carries one.

        Other programs' compactions carry none. Raises IntegrityError where there are snapshots, but
        no cursor anywhere: beginning at nothing would append everything once more.
        """
        if self.snapshot_id is None:
            return Cursor()
        for _, cursor in self._cursors():
            return cursor
        raise IntegrityError(
            f"the lake {self.location} has data, but no snapshot says how far it has come",
            hint="Roll back to a snapshot that carries annals.positions, or restore the lake.",
            snapshot_id=self.snapshot_id,
        )

    def oldest_reachable(self, reach: int) -> Cursor:
        """Return the cursor of the oldest snapshot that a rollback can go to.

        A rollback goes to one of the newest ``reach`` snapshots that carries a cursor itself; where
        none of them does, to the newest one that does.
        """
        cursors = list(self._cursors())
        reachable = [cursor for depth, cursor in cursors if depth < reach]
        return reachable[-1] if reachable else next((c for _, c in cursors), Cursor())

    def live_tokens(self) -> frozenset[str]:
        """Return the tokens that any snapshot still carries."""
        cursors = map(_cursor_of, self._table.metadata.snapshots)
        return frozenset(token for cursor in cursors if cursor for token in cursor.tokens.values())

    def entry_ids(self) -> Iterator[pa.Array]:
        """Yield the ids of all records in the lake, in batches; only that column is read."""
        with self.reading():
            for batch in self._table.scan(selected_fields=("entry_id",)).to_arrow_batch_reader():
                yield batch.column("entry_id")

    def write(self, rows: pa.Table, *, day: int) -> WrittenFile:
        """Write ``rows``, all ingested on ``day`` (days since the epoch), as one data file.

        The file is invisible until its commit, and on stable storage when this returns. Its name
        ends with the hash of its bytes.
        """
        folder = date(1970, 1, 1) + timedelta(days=day)
        encoded = pa.BufferOutputStream()
        write_parquet(encoded, rows, schema=self.file_schema)
        content = encoded.getvalue()
        stem = f"{uuid.uuid4()}-{content_hash([memoryview(content)])}"
        name = f"ingested_at_day={folder.isoformat()}/{stem}.parquet"
        path = self._table.location_provider().new_data_location(name)
        with faults(path, self._table):
            try:
                with self._table.io.new_output(path).create() as stream:
                    stream.write(content.to_pybytes())
                data_file = parquet_file_to_data_file(self._table.io, self._table.metadata, path)
            except BaseException:
                self._delete(path)
                raise
        return WrittenFile(path, rows.num_rows, data_file.file_size_in_bytes, data_file)

    def commit(self, files: Sequence[WrittenFile], cursor: Cursor, *, kind: SnapshotKind) -> int:
        """Make ``files`` and ``cursor`` the newest snapshot in one atomic step; return its id.

        Raises ConflictError where the lake is no longer as this object knows it: open it again and
        compute again. Any other error leaves open whether the commit happened; the files are
        deleted only where it is certain that it did not.
        """
        properties = to_summary(cursor, kind)
        with self.reading():
            self.checksums.require(metadata_files(self._table))
            try:
                with (
                    self._table.transaction() as transaction,
                    transaction.update_snapshot(properties).merge_append() as snapshot,
                ):
                    for file in files:
                        snapshot.append_data_file(file.data_file)
            except CommitFailedException:
                self.discard(files)
                raise
            except ValueError as error:
                # Committed and rolled back in between: the newest snapshot is the same again, but
                # its sequence number is taken, which pyiceberg refuses before it writes anything.
                # No plain one: an answer that cannot be read, after a commit that may be made.
                if type(error) is not ValueError or not self._has_moved():
                    raise
                self.discard(files)
                raise CommitFailedException(str(error)) from error
            except (OSError, DBAPIError):
                if self._is_unchanged():
                    self.discard(files)
                raise
            self.checksums.note(metadata_files(self._table))
        return int(self._table.metadata.current_snapshot_id or 0)

    def damaged_files(self) -> list[tuple[str, int]]:
        """Return the place and the number of rows of each data file that is damaged."""
        with self.reading():
            self.checksums.require(metadata_files(self._table))
            return [
                (data_file_place(file.file_path), int(file.record_count))
                for file in live_files(self._table)
                if not is_whole(file, self._table.io)
            ]

    def positions(self, *, without: Collection[str]) -> set[tuple[str, int]]:
        """Return the positions (agent, seq) of all rows but those of the files ``without``."""
        found: set[tuple[str, int]] = set()
        with self.reading():
            for file in live_files(self._table):
                if data_file_place(file.file_path) not in without:
                    with self._table.io.new_input(file.file_path).open() as stream:
                        rows = pq.read_table(stream, columns=["agent_id", "seq"])
                    found.update(
                        zip(rows["agent_id"].to_pylist(), rows["seq"].to_pylist(), strict=True)
                    )
        return found

    def replace(
        self,
        files: Sequence[WrittenFile],
        *,
        names: Collection[str],
        cursor: Cursor,
        kind: SnapshotKind,
    ) -> None:
        """Drop the data files ``names`` from the table and append ``files``, in one atomic step."""
        with self.reading():
            try:
                with (
                    self._table.transaction() as transaction,
                    transaction.update_snapshot(to_summary(cursor, kind)).overwrite() as snapshot,
                ):
                    for file in live_files(self._table):
                        if data_file_place(file.file_path) in names:
                            snapshot.delete_data_file(file)
                    for written in files:
                        snapshot.append_data_file(written.data_file)
            except CommitFailedException:
                self.discard(files)
                raise
            self.checksums.note(metadata_files(self._table))

    def discard(self, files: Sequence[WrittenFile]) -> None:
        """Delete files that no commit can refer to, so that they take no space."""
        for file in files:
            self._delete(file.path)

    def info(self) -> LakeInfo:
        """Return what the lake holds now."""
        snapshot = self._table.current_snapshot()
        totals = _summary(snapshot) if snapshot else {}
        return LakeInfo(
            table_uuid=self.table_uuid,
            location=self.location,
            files=int(totals.get("total-data-files", 0)),
            rows=int(totals.get("total-records", 0)),
            bytes=int(totals.get("total-files-size", 0)),
            snapshots=len(self._table.metadata.snapshots),
            current_snapshot_id=self.snapshot_id,
            positions=dict(self.cursor().positions),
        )

    def snapshots(self) -> list[SnapshotInfo]:
        """Return the snapshots that are still kept, oldest first."""
        ordered = sorted(self._table.metadata.snapshots, key=lambda s: s.sequence_number or 0)
        return [_described(snapshot) for snapshot in ordered]

    @contextlib.contextmanager
    def reading(self) -> Iterator[Table]:
        """Yield the table; turn what reading it raises into the tree's errors, damage by name.

        Iceberg's library raises any class at a damaged file. So the class says nothing, and what
        is left after the faults of networks, disks and catalogs is damage.
        """
        try:
            with faults(self._place, self._table):
                yield self._table
        except AnalyticsError as known:
            if type(known) is LakeError:
                raise find_damage(self._table, self.checksums, known) from known
            raise
        except Exception as error:
            raise find_damage(self._table, self.checksums, error) from error

    def _cursors(self) -> Iterator[tuple[int, Cursor]]:
        """Yield (depth, cursor) of those ancestors that carry one; the newest has depth 0."""
        kept = {snapshot.snapshot_id: snapshot for snapshot in self._table.metadata.snapshots}
        current, depth = self.snapshot_id, 0
        while current is not None and (snapshot := kept.get(current)):
            if cursor := _cursor_of(snapshot):
                yield depth, cursor
            current, depth = snapshot.parent_snapshot_id, depth + 1

    @property
    def file_schema(self) -> pa.Schema:
        """The columns of a data file, with the field ids of this very table."""
        ids = {field.name: field.field_id for field in self._table.schema().fields}
        if missing := set(SCHEMA.names) - ids.keys():
            raise LakeError(
                f"the lake's table has no column {', '.join(sorted(missing))}",
                hint="Use the version of Annals that made the lake, or set ICEBERG_TABLE_NAME.",
            )
        return pa.schema(
            field.with_metadata({"PARQUET:field_id": str(ids[field.name])}) for field in SCHEMA
        )

    def _has_moved(self) -> bool:
        """Return whether the catalog, asked again, points to another version of the table."""
        current = self._catalog.load_table(self._table.name())
        return current.metadata_location != self._table.metadata_location

    def _is_unchanged(self) -> bool:
        """Return whether a commit that failed certainly did not happen.

        Only a catalog in a database can say so: there, it is not still under way.
        """
        if not isinstance(self._catalog, SqlCatalog):
            return False
        try:
            return not self._has_moved()
        except (OSError, DBAPIError):
            return False

    def _delete(self, path: str) -> None:
        # An orphan costs space and nothing else; failing to delete it must not hide the cause.
        with contextlib.suppress(OSError):
            self._table.io.delete(path)


@contextlib.contextmanager
def faults(place: object, table: Table | None = None) -> Iterator[None]:
    """Turn the errors of pyiceberg, its catalog and the disk into the tree's own.

    The object store of ``table``, if it is in one, is asked what is wrong: libraries do not tell.
    """
    try:
        yield
    except CommitFailedException as error:
        raise ConflictError(
            f"another process committed to the lake {place} in between",
            hint="Run the command again; it begins with what is there now.",
            path=place,
        ) from error
    except DBAPIError as error:
        raise catalog_fault(error, place) from error
    except (RESTError, UnreadableAnswer) as error:
        raise catalog_server_fault(error, place) from error
    except OSError as error:
        raise lake_fault(error, place, table) from error


def _summary(snapshot: Snapshot) -> dict[str, str]:
    return dict(snapshot.summary.additional_properties) if snapshot.summary else {}


def _cursor_of(snapshot: Snapshot) -> Cursor | None:
    return from_summary(_summary(snapshot))


def _described(snapshot: Snapshot) -> SnapshotInfo:
    summary, cursor = _summary(snapshot), _cursor_of(snapshot)
    operation = snapshot.summary.operation.value if snapshot.summary else "unknown"
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        parent_id=snapshot.parent_snapshot_id,
        committed_at=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
        kind=summary.get(KIND, operation),
        records_added=int(summary.get("added-records", 0)),
        files_added=int(summary.get("added-data-files", 0)),
        bytes_added=int(summary.get("added-files-size", 0)),
        positions=dict(cursor.positions) if cursor else None,
    )
