"""``sync once``: everything new in the transcripts into the durable buffer, and done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from annals.buffer.faults import DamagedBufferError, translated
from annals.errors import LockedError
from annals.locks import Holder, exclusive
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.rows import FileState
from sync_agent.buffer.salvage import healthy_buffer, replace_damaged
from sync_agent.buffer.store import Buffer
from sync_agent.buffer.transaction_log import limit_rows
from sync_agent.reading.file_changes import Plan, Task, plan
from sync_agent.reading.intake import Intake
from sync_agent.reading.paths import Listing, shown
from sync_agent.reading.rereads import add_rereads, forget_missing, queued_paths
from sync_agent.reading.survey import Survey, survey
from sync_agent.reading.tally import Tally
from sync_agent.upkeep.verifier import Surveyed, verify_grown

LIVE_ROLE = "sync run"
"""The role under which a live agent holds the buffer; reading is left to it."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync did. ``bytes_read`` are bytes read from transcripts, fingerprints included.

    ``bytes_verified`` were read again of files that had grown; ``files_changed`` of these differed
    from what was read before, and were read again from their start. ``left_to`` names the live
    agent that the reading was left to, None if this sync read.
    """

    files_seen: int = 0
    files_read: int = 0
    files_vanished: int = 0
    files_unreadable: int = 0
    places_unreadable: int = 0
    bytes_read: int = 0
    entries_new: int = 0
    quarantined_new: int = 0
    bytes_verified: int = 0
    files_changed: int = 0
    warnings: tuple[str, ...] = ()
    left_to: str | None = None


def sync_once(
    settings: Settings, *, role: str = "sync once", progress: Progress = NO_PROGRESS
) -> SyncReport:
    """Read what is new below ``settings.claude_dirs`` into the buffer, and report it.

    Raises TranscriptError where all these folders are missing, LockedError (exit 7) where another
    command holds the buffer, LocalBufferError and DiskFullError (exit 10) where it cannot be
    written. A corrupt buffer is set aside and replaced; ``warnings`` says so.
    """
    path = settings.sqlite_path
    try:
        with (
            translated(path),
            exclusive(settings.buffer_lock, role=role, what=f"the buffer {path}"),
        ):
            return _sync_healed(settings, progress)
    except LockedError as error:
        holder = error.context.get("holder")
        if isinstance(holder, Holder) and holder.role == LIVE_ROLE:
            return SyncReport(left_to=str(holder))
        raise


def _sync_healed(settings: Settings, progress: Progress) -> SyncReport:
    """Sync; where the buffer turns out to be corrupt, replace it and sync again."""
    surveyed = survey(settings)
    try:
        return _sync(settings, surveyed, progress)
    except DamagedBufferError as error:
        warning = replace_damaged(settings.sqlite_path, error)
        report = _sync(settings, surveyed, progress)
        return replace(report, warnings=(warning, *report.warnings))


def _sync(settings: Settings, surveyed: Survey, progress: Progress) -> SyncReport:
    with healthy_buffer(settings.sqlite_path) as buffer:
        limit_rows(buffer.connection, settings.journal_rows)
        wanted = queued_paths(buffer.connection)
        plans = [(one, _plan(buffer, one, wanted)) for one in surveyed.listings]
        total = sum(task.found.size for _, todo in plans for task in todo.tasks)
        tally = Tally(progress, total)
        roots, warnings = [], [*buffer.messages, *surveyed.warnings]
        for listing, todo in plans:
            root = Surveyed(listing, _intake(buffer, settings, listing.root, tally))
            unread = _read_all(buffer, root.intake, todo, tally)
            warnings += (*listing.warnings, *todo.warnings, *unread)
            roots.append(root)
        buffer.commit()
        for root in roots:
            forget_missing(buffer, root.listing, wanted)
        changed = verify_grown(buffer, roots, max_line_bytes=settings.max_line_bytes, tally=tally)
        warnings += _read_again(buffer, roots, changed, tally)
        prune(
            buffer,
            retention_days=settings.buffer_retention_days,
            ships=settings.mongo_uri is not None,
        )
    return SyncReport(
        files_seen=surveyed.files,
        files_read=tally.files_read,
        files_vanished=tally.files_vanished,
        files_unreadable=tally.files_unreadable,
        places_unreadable=surveyed.places_unreadable,
        bytes_read=tally.bytes_read,
        entries_new=tally.entries,
        quarantined_new=tally.quarantined,
        bytes_verified=tally.bytes_verified,
        files_changed=len(changed),
        warnings=tuple(warnings),
    )


def _plan(buffer: Buffer, listing: Listing, wanted: set[bytes]) -> Plan:
    todo = plan(listing, buffer.known_files(listing.root))
    return add_rereads(todo, listing, buffer.known_files(listing.root), wanted)


def _intake(buffer: Buffer, settings: Settings, root: bytes, tally: Tally) -> Intake:
    return Intake(
        buffer,
        root=root,
        host=settings.host_name,
        max_line_bytes=settings.max_line_bytes,
        tally=tally,
    )


def _read_again(
    buffer: Buffer, roots: list[Surveyed], changed: set[bytes], tally: Tally
) -> list[str]:
    """Read files again that proved to be changed; return a warning for each."""
    warnings = []
    for root in roots if changed else ():
        known = buffer.known_files(root.listing.root)
        todo = add_rereads(Plan(), root.listing, known, changed)
        warnings += [
            f"{shown(task.found.path)} was changed behind its tail; it is read again from its start"
            for task in todo.tasks
        ]
        warnings += _read_all(buffer, root.intake, todo, tally)
    buffer.commit()
    return warnings


def _read_all(buffer: Buffer, intake: Intake, todo: Plan, tally: Tally) -> list[str]:
    """Read every file of the plan; return a warning for each that could not be read."""
    warnings = []
    for known in todo.vanished:
        intake.mark_vanished(known)
    if todo.tasks:
        tally.progressed(0)
    for task in todo.tasks:
        try:
            intake.read(task)
        except FileNotFoundError:
            if task.known is not None and task.known.state != FileState.VANISHED:
                intake.mark_vanished(task.known)
        except OSError as error:
            warnings.append(_unreadable(task, error))
            intake.set_unreadable(task)
        if buffer.is_due:
            buffer.commit()
            tally.progressed(0)
    return warnings


def _unreadable(task: Task, error: OSError) -> str:
    return (
        f"{shown(task.found.path)} cannot be read: {error.strerror};"
        " give this user the right to read it, it is tried again next time"
    )
