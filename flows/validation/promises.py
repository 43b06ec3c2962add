"""Whether the data keeps its promises: each check names one, and how it is broken where it is.

``validate`` compares what the parts say of themselves; deep, it reads every file and every row of
the lake again and believes no counter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annals.access import claim_state
from annals.errors import (
    IntegrityError,
    PartialError,
    QualityError,
    WarehouseDamageError,
    WarehouseError,
)
from annals.locks import exclusive
from annals.records.identity import readable
from annals.records.verification import has_id
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from flows.validation.builds import SHOWN, check_build, check_warehouse
from flows.validation.checks import FAULTS_SHOWN, Check
from flows.validation.completeness import COMPLETE, check_completeness
from flows.validation.coverage import Coverage, File, Placed
from flows.validation.lake_files import check_lake_files
from flows.validation.places import check_places
from flows.validation.rereads import WrongFiles
from flows.validation.stock import check_stock

if TYPE_CHECKING:
    from loaders.audit import LakeRange
    from loaders.warehouse import Connection
    from sync_agent.buffer.buffer_reader import Holdings
    from sync_agent.reading.paths import Found

_ONCE = "bronze has every loaded entry exactly once"
_TESTED = "every dbt test passes"
_WORST_FIRST = (IntegrityError.exit_code, QualityError.exit_code, PartialError.exit_code)


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All checks.

    ``exit_code`` is 0, 9 (stored data contradicts itself), 5 (a data test failed) or 6 (places
    are not proven, or there is nothing to prove): the first of these that holds.
    """

    deep: bool
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """The exit code of the worst fault."""
        found = {check.exit_code for check in self.checks if check.faults}
        return min(found, key=_WORST_FIRST.index, default=0)


def validate(
    settings: Settings, *, deep: bool = False, progress: Progress = NO_PROGRESS
) -> ValidationReport:
    """Check every promise that can be checked; no data is changed.

    What the deep form finds wrong in a file is queued to be read again.

    Raises LockedError (exit 7) while the pipeline runs, and what reading raises: TranscriptError
    for missing folders, IntegrityError for a lake that cannot be read at all, WarehouseError for a
    full build that was cut short.
    """
    from sync_agent.buffer.buffer_reader import where_read

    claim_state(settings)
    with exclusive(settings.pipeline_lock, role="validate", what="the pipeline"):
        settings = where_read(settings)
        checks = list(_shallow(settings, deep=deep))
        if deep:
            checks += _deep(settings, progress)
        checks.append(_unless_damaged("tests", _TESTED, lambda: _tests(settings)))
    return ValidationReport(deep, tuple(checks))


def _shallow(settings: Settings, *, deep: bool) -> Iterator[Check]:
    from loaders import audit
    from sync_agent.buffer.buffer_reader import read_holdings

    yield _ledger(settings)
    if deep:
        yield check_warehouse(settings)
    yield check_places(settings)
    held = read_holdings(settings)
    with audit.lake_rows(settings) as lake:
        yield _handed_over(settings, lake, held)
        yield check_stock(settings, audit.lake_counts(lake)["rows"], held)
    yield check_lake_files(settings, deep=deep)
    yield _unless_damaged("bronze", _ONCE, lambda: _bronze(settings))
    yield _unless_damaged("complete", COMPLETE, lambda: check_completeness(settings))
    yield _unless_damaged("build", SHOWN, lambda: check_build(settings, deep=deep))


def _unless_damaged(name: str, promise: str, check: Callable[[], Check]) -> Check:
    """Return a check; if the warehouse is damaged its promise is broken, and the others are not."""
    try:
        return check()
    except WarehouseDamageError as error:
        return Check(name, promise, faults=(f"{error.message}; `annals pipeline` rebuilds it",))


def _ledger(settings: Settings) -> Check:
    from sync_agent.reading.ledger import custody

    kept = custody(settings)
    judged = kept.entry_bytes + kept.quarantined_bytes + kept.separator_bytes
    faults = []
    if judged + kept.pending_bytes != kept.bytes_on_disk or not kept.balanced:
        faults.append(f"{judged} + {kept.pending_bytes} bytes are not {kept.bytes_on_disk}")
    figures = {
        "files": kept.files,
        "bytes_on_disk": kept.bytes_on_disk,
        "entry_bytes": kept.entry_bytes,
        "quarantined_bytes": kept.quarantined_bytes,
        "separator_bytes": kept.separator_bytes,
        "pending_bytes": kept.pending_bytes,
        "files_vanished": kept.files_vanished,
        "vanished_bytes": kept.vanished_bytes,
        "lost_pending_bytes": kept.lost_pending_bytes,
    }
    promise = "the buffer's ledger adds up to the bytes on disk"
    notes = tuple(f"vanished and kept: {path}" for path in kept.vanished[:FAULTS_SHOWN])
    return Check("ledger", promise, figures, (*faults,), notes=notes)


def _handed_over(settings: Settings, lake: Connection, held: Holdings | None) -> Check:
    from loaders import audit
    from sync_agent.buffer.buffer_reader import held_ids

    promise = "the lake has all that the buffer handed over"
    if held is None:
        return Check("lake", promise, skipped="there is no buffer")
    through = min(_lake_position(settings, held.agent_id), held.last_seq)
    missing = audit.missing_ids(lake, held_ids(settings, through=through))
    counts = audit.lake_counts(lake)
    figures = {
        "records_in_buffer": held.records,
        "records_handed_over": through,
        "records_waiting": held.last_seq - max(through, held.pruned_through),
        "records_missing": missing,
        **{f"lake_{kind}": number for kind, number in counts.items()},
    }
    faults = (f"{missing} records are in the buffer, but not in the lake",) if missing else ()
    return Check("lake", promise, figures, faults)


def _lake_position(settings: Settings, agent_id: str) -> int:
    from extractors.lake import open_lake
    from loaders.lake import read_head

    if read_head(settings) is None:
        return 0
    with open_lake(settings) as lake:
        return lake.cursor().seq(agent_id)


def _bronze(settings: Settings) -> Check:
    from loaders import audit, warehouse

    promise = _ONCE
    if not settings.warehouse_file.exists():
        return Check("bronze", promise, skipped="there is no warehouse")
    with warehouse.connect(settings, read_only=True) as connection:
        if audit.revision(connection) is None:
            return Check("bronze", promise, skipped="nothing is transformed yet")
        warehouse.require_layers(connection)
        found = audit.bronze(connection)
    faults = [
        f"{number} entries of bronze are {what}"
        for number, what in (
            (found.duplicates, "duplicates"),
            (found.missing, "missing"),
            (found.unknown, "in no data file of the lake"),
        )
        if number
    ]
    return Check("bronze", promise, found._asdict(), tuple(faults))


def _tests(settings: Settings) -> Check:
    from loaders import audit, dbt_project, warehouse

    promise = _TESTED
    if not settings.warehouse_file.exists():
        return Check("tests", promise, skipped="there is no warehouse")
    with warehouse.connect(settings, read_only=True) as connection:
        if audit.revision(connection) is None:
            return Check("tests", promise, skipped="nothing is transformed yet")
    try:
        outcome = dbt_project.run_dbt(settings, "test")
    except WarehouseDamageError:
        raise
    except (QualityError, WarehouseError) as error:
        return Check("tests", promise, faults=(error.message,), exit_code=QualityError.exit_code)
    return Check("tests", promise, {"tests_run": outcome.tests_run})


def _deep(settings: Settings, progress: Progress) -> list[Check]:
    from loaders import audit

    with audit.lake_rows(settings) as lake:
        return [_identities(lake, progress), _bytes(settings, lake, progress)]


def _identities(lake: Connection, progress: Progress) -> Check:
    """Hash every row of the lake again."""
    from loaders import audit, entries

    expected = entries.count_rows(lake, only_pending=False)
    faults: list[str] = []
    rows = size = 0
    for row in audit.rows(lake):
        rows += 1
        size += len(row.raw)
        if not has_id(row.file_key, row.byte_offset, row.raw, row.entry_id):
            faults.append(f"{row.file_path} at {row.byte_offset}: {row.entry_id} is not its hash")
        if rows % 1_000 == 0:
            progress.report("lake rows", rows, expected, unit="rows")
    promise = "every row of the lake still hashes to its id"
    figures = {"rows": rows, "bytes": size, "wrong": len(faults)}
    return Check("identities", promise, figures, tuple(faults[:FAULTS_SHOWN]))


def _bytes(settings: Settings, lake: Connection, progress: Progress) -> Check:
    """Read every file on disk again and lay the lake's ranges over it."""
    from loaders import audit

    promise = "every byte on disk is in exactly one entry, quarantined range, separator or pending"
    waiting = _waiting(settings)
    files = _files_by_key(settings)
    found, wrong = Coverage(), WrongFiles()
    total = sum(file.size for group in files.values() for file, _ in group)
    for key, ranges in audit.ranges_by_key(lake):
        placed = [_placed(one) for one in ranges] + waiting.pop(key, [])
        placed.sort(key=lambda one: one.byte_offset)
        for file, listed in files.pop(key, ()):
            found.add(wrong.check(file, listed, placed))
            progress.report("files", found.bytes_on_disk, total, unit="bytes")
    for key, group in files.items():
        for file, listed in group:
            found.add(wrong.check(file, listed, sorted(waiting.get(key, []))))
    figures = {
        name: getattr(found, name) for name in Coverage.__dataclass_fields__ if name != "faults"
    }
    return Check("bytes", promise, figures, wrong.hand_back(settings, limit=FAULTS_SHOWN))


def _files_by_key(settings: Settings) -> dict[str, list[tuple[File, Found]]]:
    """Return the files on disk by the text of their key, each as it was listed."""
    from sync_agent.buffer.buffer_reader import Noted, noted_files
    from sync_agent.reading.file_changes import key_of
    from sync_agent.reading.survey import survey

    noted = noted_files(settings)
    files: dict[str, list[tuple[File, Found]]] = {}
    everywhere = ((one.root, found) for one in survey(settings).listings for found in one.files)
    for root, found in everywhere:
        _, key_bytes = key_of(found.path, root)
        key = readable(os.fsdecode(key_bytes))
        path = readable(os.fsdecode(found.path))
        known = noted.get(found.path, Noted(0, None, None))
        is_settled = (known.size, known.mtime_ns) == (found.size, found.mtime_ns)
        file = File(path, key, found.size, known.offset, is_settled=is_settled)
        files.setdefault(key, []).append((file, found))
    return files


def _placed(found: LakeRange) -> Placed:
    source = (found.agent_id, found.file_path, found.file_generation)
    return Placed(found.byte_offset, found.byte_length, found.entry_id, found.record_kind, source)


def _waiting(settings: Settings) -> dict[str, list[Placed]]:
    """Return the ranges that are in the buffer, but not yet in the lake, by their file key.

    What a server refused is still in the buffer, too.
    """
    from extractors.local import LocalSource
    from sync_agent.buffer.buffer_reader import dead_letters, read_holdings

    held = read_holdings(settings)
    waiting: dict[str, list[Placed]] = {}
    if held is None:
        return waiting
    after = max(_lake_position(settings, held.agent_id), held.pruned_through)
    source = LocalSource(settings.sqlite_path)
    for batch in source.read(held.agent_id, after=after, through=held.last_seq):
        for record in batch:
            if record.record_kind != "file":
                waiting.setdefault(record.file_key, []).append(_from_record(held, record))
    for refused in dead_letters(settings):
        waiting.setdefault(refused.file_key, []).append(_from_record(held, refused))
    return waiting


def _from_record(held: Holdings, record: Any) -> Placed:
    source = (held.agent_id, record.file_path, record.file_generation)
    return Placed(
        record.byte_offset, record.byte_length, record.entry_id, record.record_kind, source
    )
