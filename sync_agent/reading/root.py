"""One root while it is watched: what is known of its files in memory, and what is to be read."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from annals.errors import AnalyticsError
from annals.settings import Settings
from annals.watching.ignores import Ignores
from sync_agent.buffer.rows import FileState, Known
from sync_agent.buffer.store import Buffer
from sync_agent.reading.activity import Activity, RootState
from sync_agent.reading.event_log import Logbook
from sync_agent.reading.file_changes import Event, Plan, Task, plan
from sync_agent.reading.intake import Intake, Read
from sync_agent.reading.known_files import KnownFiles, Seen
from sync_agent.reading.paths import Found, Listing, discover, is_transcript_path, shown, to_signed
from sync_agent.reading.tally import Tally

_TAIL_BYTES_A_SECOND = 20_000_000
"""An unfinished line is read again at this rate at most, however often a piece is appended."""

_GROWTH_SECONDS = 60.0
"""A file that is written to all the time is noted as grown once in so long, not at each line."""

_SHORT_TAIL_BYTES = 64 * 1024


class OutOfTimeError(Exception):
    """The agent ends and its time is over; what was read until here is kept."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all roots of one agent share."""

    settings: Settings
    ignores: Ignores
    buffer: Buffer
    tally: Tally
    activity: Activity
    log: Logbook


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A file that could not be read, as it was then; a permanent one is left until it changes."""

    size: int
    mtime_ns: int
    is_permanent: bool


class Root:
    """The files below one root, each read from its position where something changed.

    A full round (:meth:`survey`) and a hint (:meth:`look`) lead to the same plan and the same
    reading. What is planned waits in ``queue``, oldest first; ``current`` is the file being read.
    """

    def __init__(self, path: Path, around: Surroundings, *, state: RootState) -> None:
        self.path = path
        self.state = state
        self.queue: dict[bytes, Task] = {}
        self.later: dict[bytes, float] = {}
        self.current: bytes | None = None
        self.is_unsure = False
        self.listing = Listing(bytes(path), 0, ignores=around.ignores)
        self._around = around
        self._known = KnownFiles()
        self._by_inode: dict[int, bytes] = {}
        self._told: set[str] = set()
        self._troubles: dict[bytes, _Trouble] = {}
        self._not_before: dict[bytes, float] = {}
        self.intake = Intake(
            around.buffer,
            root=bytes(path),
            host=around.settings.host_name,
            max_line_bytes=around.settings.max_line_bytes,
            tally=around.tally,
            settled=self._settled,
            growth_seconds=_GROWTH_SECONDS,
        )
        for known in around.buffer.known_files(bytes(path)):
            if known.path not in self._known or known.state != FileState.VANISHED:
                self._settled(known)

    def survey(self, entered: Callable[[bytes], None]) -> list[bytes]:
        """Look at every file below the root, queue what changed, and return the paths of that.

        Raises TranscriptError where the root cannot be read.
        """
        seen = Seen(self._known)
        listing = discover(
            self.path, ignores=self._around.ignores, entered=entered, is_known=seen.is_unchanged
        )
        self.listing = self._empty_listing(listing.device, listing.inode)
        self.listing.real_folders.update(listing.real_folders)
        self.is_unsure = bool(
            listing.unlisted or listing.outside or seen.devices_of_links - {listing.device}
        )
        todo = plan(listing, seen.others(), others=seen.files)
        self._warn(listing.warnings + todo.warnings)
        return self._enqueue(todo)

    def found(self, path: bytes) -> Found | None:
        """Return a known file as it is listed now; None while it is read, or if it is gone."""
        known = self._known.get(path)
        if known is None or path in self.queue or path == self.current:
            return None
        listing = self._look_listing()
        try:
            is_transcript_path(listing, path)
        except OSError:
            return None
        return listing.files[0] if listing.files else None

    def read_again(self, wanted: set[bytes]) -> None:
        """Queue those of the ``wanted`` files that are known here, from their start."""
        for path in wanted & self._known.keys():
            found = self.found(path)
            if found is not None:
                self.queue[path] = Task(found, self._known[path], from_start=True)
        self.state.queued = len(self.queue)

    def note_growth(self, *, all_of_it: bool = False) -> None:
        """Note the growth of files that was not noted at each line."""
        self.intake.note_growth(all_of_it=all_of_it)

    def look(
        self, files: Iterable[bytes], folders: Iterable[bytes], entered: Callable[[bytes], None]
    ) -> tuple[list[bytes], bool]:
        """Queue what changed at ``files`` and below ``folders``; return the paths of that.

        The second value says whether that was all: what is gone, or a link, is left to a round.
        """
        listing = self._look_listing()
        is_all, now = True, time.monotonic()
        for path in files:
            if path == self.current or self._not_before.get(path, 0) > now:
                self.later[path] = max(self._not_before.get(path, 0), now)
                continue
            try:
                is_all = is_transcript_path(listing, path) and is_all
            except OSError:
                is_all = False
        for folder in folders:
            is_all = self._look_below(listing, folder, entered) and is_all
        if not listing.files:
            return [], is_all
        related = self._related(listing)
        return self._enqueue(plan(listing, related)), is_all

    def _empty_listing(self, device: int, inode: int) -> Listing:
        return Listing(bytes(self.path), device, inode, self._around.ignores)

    def _look_listing(self) -> Listing:
        """Return a listing for a look at single places, with the links of the last round."""
        listing = self._empty_listing(self.listing.device, self.listing.inode)
        listing.real_folders.update(self.listing.real_folders)
        return listing

    def _look_below(
        self, listing: Listing, folder: bytes, entered: Callable[[bytes], None]
    ) -> bool:
        if folder == listing.root:
            return False
        if listing.ignores.covers(listing.below(folder), is_folder=True):
            return True
        try:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                return False
        except OSError:
            return False
        found = discover(
            self.path,
            ignores=listing.ignores,
            within=folder,
            real_folders=listing.real_folders,
            entered=entered,
        )
        listing.files.extend(found.files)
        return not found.unlisted

    def _related(self, listing: Listing) -> list[Known]:
        """Return what is known of the listed files, and of the places that they came from.

        Where another file stands there now, it comes into the listing as well.
        """
        related: dict[bytes, Known] = {}
        listed = {found.path for found in listing.files}
        for found in listing.files:  # grows while it is walked
            known = self._known.get(found.path)
            if known is not None:
                related[found.path] = known
                if known.inode == found.inode:
                    continue
            other = self._by_inode.get(found.inode)
            if other is None or other in listed:
                continue
            try:
                status = os.stat(other)  # noqa: PTH116 -- the path is bytes
            except OSError:
                related[other] = self._known[other]
                continue
            if to_signed(status.st_ino) != found.inode:  # else it is one file under two names
                listed.add(other)
                file = Found.of(other, status)
                real = listing.real_path(other)
                listing.files.append(file._replace(real=b"" if real == other else real))
        return list(related.values())

    def _enqueue(self, todo: Plan) -> list[bytes]:
        for known in todo.vanished:
            if self._known.get(known.path) == known:
                self.intake.mark_vanished(known)
                self.state.lag.pop(known.path, None)
                self._around.activity.count_event(Event.VANISHED, name_of(known.path), seconds=0)
        fresh = []
        for task in todo.tasks:
            path = task.found.path
            trouble = self._troubles.get(path)
            if path in self.queue or (trouble and trouble.is_permanent and _is_as(trouble, task)):
                continue
            self.queue[path] = task
            self.state.lag[path] = max(
                0, task.found.size - (task.known.offset if task.known else 0)
            )
            if trouble is None:
                fresh.append(path)
        self.state.queued = len(self.queue)
        return fresh

    def read_next(self, path: bytes | None = None) -> None:
        """Read the file at ``path``, or the first one of the queue.

        Raises what the buffer raises, and OutOfTimeError; whatever else is wrong with a file is
        counted and logged, and the file is tried again by a later round.
        """
        path = next(iter(self.queue)) if path is None else path
        task = self.queue.pop(path)
        self.state.queued = len(self.queue)
        started, before = time.perf_counter(), self.current
        self.current = path
        try:
            read = self.intake.read(task)
        except FileNotFoundError:
            self.state.lag.pop(path, None)  # a round sees where it went
        except OSError as error:
            self._unreadable(task, error)
        except (AnalyticsError, sqlite3.Error, OutOfTimeError):
            raise
        except Exception as error:  # noqa: BLE001 -- one file never stops the agent
            self._failed(task, error)
        else:
            self._done(task, read, time.perf_counter() - started)
        finally:
            self.current = before
            self._leave_old_place(task)

    def _done(self, task: Task, read: Read, seconds: float) -> None:
        path, activity = task.found.path, self._around.activity
        activity.entries += read.entries
        activity.quarantined += read.quarantined
        self._troubles.pop(path, None)
        self._not_before.pop(path, None)
        self.state.lag.pop(path, None)
        if read.pending:
            self.state.lag[path] = read.pending
        if read.pending > _SHORT_TAIL_BYTES:
            self._not_before[path] = time.monotonic() + read.pending / _TAIL_BYTES_A_SECOND
        activity.count_event(read.event, name_of(path), seconds=seconds)
        if self._around.log.is_chatty:
            self._around.log.changed(read.event.value, name_of(path), milliseconds=seconds * 1000)

    def _unreadable(self, task: Task, error: OSError) -> None:
        path, activity = task.found.path, self._around.activity
        self.intake.set_unreadable(task)
        if path not in self._troubles:
            activity.errors["unreadable"] += 1
            self._around.log.warning(
                "file_unreadable",
                file=name_of(path),
                reason=error.strerror or "unknown",
                hint="give this user the right to read it; it is tried again",
            )
        self._troubles[path] = _Trouble(task.found.size, task.found.mtime_ns, is_permanent=False)

    def _failed(self, task: Task, error: Exception) -> None:
        path = task.found.path
        self._around.activity.errors["file"] += 1
        self._troubles[path] = _Trouble(task.found.size, task.found.mtime_ns, is_permanent=True)
        self._around.log.warning("file_failed", file=name_of(path), error=type(error).__name__)

    @property
    def unreadable(self) -> int:
        """How many files could not be read when they were tried last."""
        return len(self._troubles)

    def _leave_old_place(self, task: Task) -> None:
        """Forget where a moved file stood, once its position is noted at the new place."""
        old = task.known
        if old is None or not task.has_moved or self._known.get(old.path) != old:
            return
        now = self._known.get(task.found.path)
        if now is not None and now.file_id == old.file_id:
            self.state.files -= _lives(old)
            del self._known[old.path]

    def _settled(self, known: Known) -> None:
        self.state.files += _lives(known) - _lives(self._known.get(known.path))
        self._known[known.path] = known
        if known.state != FileState.VANISHED:
            self._by_inode[known.inode] = known.path
        elif self._by_inode.get(known.inode) == known.path:
            del self._by_inode[known.inode]

    def _warn(self, warnings: list[str]) -> None:
        """Log each warning once, and again where it was away in between."""
        for warning in warnings:
            if warning not in self._told:
                self._around.log.warning("skipped", reason=_without_root(warning, self.path))
        self._told = set(warnings)


def name_of(path: bytes) -> str:
    """Return the file's name without its folder, for logs and people."""
    return shown(path.rpartition(b"/")[2])


def _lives(known: Known | None) -> bool:
    return known is not None and known.state != FileState.VANISHED


def _is_as(trouble: _Trouble, task: Task) -> bool:
    return (trouble.size, trouble.mtime_ns) == (task.found.size, task.found.mtime_ns)


def _without_root(text: str, root: Path) -> str:
    """Return ``text`` with the root's path, which may name a person, left out."""
    return text.replace(f"{root}/", "")
