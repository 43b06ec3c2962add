"""The stage: take what the source has beyond the lake's cursor, commit it together with the cursor.

Where another extractor commits first, this one reads the lake's cursor again and computes again, so
a cursor never goes back (docs/specs/positions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from annals.errors import ConflictError
from annals.records import Record
from annals.records.seq_ranges import Ranges
from annals.records.verification import Verification
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from extractors.backfill import KnownIds, everything_held
from extractors.cursor import Cursor, SnapshotKind
from extractors.lake import Lake, open_lake
from extractors.lake.expiry import Retention, expire
from extractors.local import held_record
from extractors.refused import refusals
from extractors.source import Agreement, Source
from extractors.sources import agreed_source, require_source
from extractors.writing import ChunkWriter, chunks

COMMIT_BYTES = 1024 * 1024 * 1024
"""Raw bytes after which an unfinished extraction commits what it has."""

ATTEMPTS = 5

REFUSALS_NAMED = 20
"""Refused records that a report names; it counts all of them."""


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did.

    ``records_read`` came from the source, ``entries_new`` of them went into the lake as entries.
    ``snapshot_id`` is the lake's newest; ``bytes_written`` counts committed data files;
    ``snapshots_expired`` counts old snapshots that the lake no longer keeps.
    ``records_refused`` came and were no records: they are quarantined, and the first of them are
    in ``refusals``, a sentence each. ``missing`` says what the source acknowledged and lost, and
    ``reshipped`` counts what it had lost and was sent again. Records that did not match their ids
    were restored from their transcripts, or quarantined; ``warnings`` names these.
    """

    records_read: int
    entries_new: int
    snapshots_committed: int
    snapshot_id: int | None
    bytes_written: int
    records_refused: int = 0
    refusals: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reshipped: int = 0
    snapshots_expired: int = 0
    bytes_verified: int = 0
    records_restored: int = 0
    records_quarantined: int = 0
    warnings: tuple[str, ...] = ()

    def with_earlier(self, earlier: ExtractReport) -> ExtractReport:
        """Return the report of both extractions, of which this one is the last."""
        return replace(
            self,
            records_read=self.records_read + earlier.records_read,
            entries_new=self.entries_new + earlier.entries_new,
            snapshots_committed=self.snapshots_committed + earlier.snapshots_committed,
            bytes_written=self.bytes_written + earlier.bytes_written,
            records_refused=self.records_refused + earlier.records_refused,
            refusals=(*earlier.refusals, *self.refusals)[:REFUSALS_NAMED],
            snapshots_expired=self.snapshots_expired + earlier.snapshots_expired,
            bytes_verified=self.bytes_verified + earlier.bytes_verified,
            records_restored=self.records_restored + earlier.records_restored,
            records_quarantined=self.records_quarantined + earlier.records_quarantined,
            warnings=(*earlier.warnings, *self.warnings),
        )


@dataclass(slots=True)
class Tally:
    """The counters of a report while they grow, through all attempts."""

    records_read: int = 0
    entries_new: int = 0
    snapshots_committed: int = 0
    bytes_written: int = 0
    records_refused: int = 0
    refusals: list[str] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)

    def note_refusals(self, records: Iterable[Record]) -> None:
        """Count what was refused among the records; keep the first reasons."""
        new = refusals(records)
        self.records_refused += len(new)
        self.refusals += new[: REFUSALS_NAMED - len(self.refusals)]

    def report(self, snapshot_id: int | None, *, source: str) -> ExtractReport:
        """Return the report of these counters."""
        verified = self.verification
        return ExtractReport(
            records_read=self.records_read,
            entries_new=self.entries_new,
            snapshots_committed=self.snapshots_committed,
            snapshot_id=snapshot_id,
            bytes_written=self.bytes_written,
            records_refused=self.records_refused,
            refusals=tuple(self.refusals),
            bytes_verified=verified.bytes_verified,
            records_restored=verified.records_restored,
            records_quarantined=verified.records_quarantined,
            warnings=verified.warnings(source),
        )


def extract(
    settings: Settings,
    *,
    full_backfill: bool = False,
    missing: Mapping[str, Ranges] | None = None,
    progress: Progress = NO_PROGRESS,
) -> ExtractReport:
    """Bring the lake up to what the source holds, and tell the source what it may forget.

    With ``full_backfill`` all that the source still holds is read again, and what the lake lacks
    is appended; nothing is ever rewritten. ``missing`` are positions that the source has lost: the
    cursor passes them, and the snapshot notes them.

    Raises SettingsError, MissingBufferError, SourceGapError, IntegrityError, DiskFullError, and
    ConflictError where other extractors were first several times in a row.
    """
    require_source(settings)
    tally = Tally()
    for attempt in range(1, ATTEMPTS + 1):
        with open_lake(settings, create=True) as lake:
            try:
                with closing(prepare(settings, lake, full_backfill=full_backfill)) as extraction:
                    extraction.missing = missing
                    extraction.run(tally, progress)
            except ConflictError:
                if attempt == ATTEMPTS:
                    raise
                continue
            expired = expire(lake, _retention(settings)).snapshots
            source = "the buffer" if settings.mongo_uri is None else "MongoDB"
            report = tally.report(lake.snapshot_id, source=source)
            return replace(report, snapshots_expired=expired)
    raise AssertionError("the last attempt returns or raises")


def _retention(settings: Settings) -> Retention:
    return Retention(
        snapshots=settings.iceberg_keep_snapshots,
        days=settings.iceberg_keep_days,
        reach=settings.rollback_snapshots,
    )


def prepare(settings: Settings, lake: Lake, *, full_backfill: bool = False) -> Extraction:
    """Read the lake's cursor and agree with the source on who it is: the plan of one attempt."""
    cursor = lake.cursor()
    source, agreement, close = agreed_source(
        settings,
        cursor,
        consumer=lake.table_uuid,
        live_tokens=lake.live_tokens(),
        full_backfill=full_backfill,
    )
    return Extraction(
        lake=lake,
        source=source,
        agreement=agreement,
        close=close,
        cursor=cursor,
        rollback_reach=settings.rollback_snapshots,
        full_backfill=full_backfill,
        held=partial(held_record, settings.sqlite_path) if settings.mongo_uri else None,
    )


@dataclass(slots=True)
class Extraction:
    """One attempt: valid only while the lake is as it was when the cursor was read."""

    lake: Lake
    source: Source
    agreement: Agreement
    close: Callable[[], None]
    cursor: Cursor
    rollback_reach: int
    full_backfill: bool = False
    missing: Mapping[str, Ranges] | None = None
    held: Callable[[str, int], Record | None] | None = None
    """Returns the record of the local buffer at a position, if records come from elsewhere."""

    def run(self, tally: Tally, progress: Progress) -> None:
        """Read, write, commit and acknowledge; raise ConflictError where the lake has moved on."""
        committed = self.source.committed()
        known = KnownIds(self.lake.entry_ids()) if self.full_backfill else None
        reached: dict[str, int] = {}
        with ChunkWriter(self.lake) as writer:
            for agent_id, chunk in self._chunks(committed, tally, progress):
                reached[agent_id] = chunk[-1].seq
                writer.put(known.drop_known(chunk) if known else chunk, agent_id=agent_id)
                if writer.raw_bytes >= COMMIT_BYTES:
                    self._commit(writer, reached, tally)
            self._commit(writer, committed, tally)
        reachable = self.lake.oldest_reachable(self.rollback_reach)
        self.source.acknowledge(self.lake.table_uuid, self.agreement.own_positions(reachable))

    def _chunks(
        self, committed: Mapping[str, int], tally: Tally, progress: Progress
    ) -> Iterator[tuple[str, list[Record]]]:
        """Yield (agent id, chunk) for all that is beyond the cursor, or for all that is held."""
        for agent_id, through in committed.items():
            after = 0 if self.full_backfill else self.cursor.seq(agent_id)
            if after >= through:
                continue
            batches = (
                everything_held(self.source, agent_id, through)
                if self.full_backfill
                else self.source.read(agent_id, after=after, through=through)
            )
            held = partial(self.held, agent_id) if self.held is not None else None
            for chunk in chunks(tally.verification.batches(batches, held=held)):
                last = chunk[-1].seq
                tally.records_read += len(chunk)
                tally.note_refusals(chunk)
                yield agent_id, chunk
                progress.report("extract", last - after, through - after, unit="records")

    def _commit(self, writer: ChunkWriter, positions: Mapping[str, int], tally: Tally) -> None:
        """Commit what was written together with the cursor that covers it."""
        written = writer.take()
        known = self.cursor if self.missing is None else self.cursor.without(self.missing)
        if not written.files and known == self.cursor:
            return
        self.cursor = known.raised(positions, self.agreement.tokens)
        kind = SnapshotKind.BACKFILL if self.full_backfill else SnapshotKind.EXTRACT
        self.lake.commit(written.files, self.cursor, kind=kind)
        tally.snapshots_committed += 1
        tally.entries_new += written.entries
        tally.bytes_written += sum(file.size for file in written.files)
