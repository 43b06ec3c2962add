"""One root and its watcher: when it is looked at as a whole, and what hints lead to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from annals.errors import TranscriptError
from annals.watching.opening import open_watcher
from annals.watching.watcher import (
    Hints,
    Watcher,
    WatchLimitError,
    WatchRefusedError,
    remote_file_system,
)
from sync_agent.reading.activity import RootState
from sync_agent.reading.root import Root, Surroundings
from sync_agent.watching.polled import PolledFolders

BUSY_SECONDS = 5.0
"""Between two rounds while something happens; each quiet round makes it four times as long."""

MISSED_SECONDS = 2.0
MISSING_SECONDS = 1.0
RETRY_EVENTS_SECONDS = 300.0
UNSURE_SECONDS = 30.0
"""Between two rounds at most while a place is outside custody, or a link leads to another disk."""

_QUIETER = 4

_SHARE_WATCHED, _SHARE_POLLED = 50, 20
"""Rounds take at most one part in so many of the time, however many files there are."""

_SOON_SECONDS = 0.2


class Watch:
    """Decides when a root is due for a round, and has changes read that hints tell of.

    The watcher gives hints where it can; where the system refuses, or the root lies on a network
    mount, the root is polled instead, which the log and the health endpoint say. Where it has no
    watch left for some folders, only these are polled.
    """

    def __init__(self, path: Path, around: Surroundings, *, state: RootState) -> None:
        self.root = Root(path, around, state=state)
        self.state = state
        self.due = 0.0
        self._around = around
        self._settings = around.settings
        self._watcher: Watcher | None = None
        self._folders: set[bytes] = set()
        self._polled = PolledFolders()
        self._next_poll = 0.0
        self._events_from = 0.0
        self._interval = BUSY_SECONDS
        self._ended = 0.0
        self._is_first = True
        self._found = ("poll", "")
        self._remote = remote_file_system(path) if self._settings.watch_mode == "auto" else None

    def fileno(self) -> int | None:
        """Return the descriptor that reports hints, None where there are none."""
        return self._watcher.fileno() if self._watcher else None

    def close(self) -> None:
        """Let go of the watcher."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self._folders = set()
        self._polled.clear()

    def next_due(self) -> float:
        """Return when something has to be looked at again, on the monotonic clock."""
        due = min(self.due, self._next_poll) if self._polled else self.due
        return min(due, *self.root.later.values()) if self.root.later else due

    def handle_hints(self) -> None:
        """Read what hints tell of, and what was put off until now."""
        hints = self._watcher.hints() if self._watcher else Hints()
        now = time.monotonic()
        ready = [path for path, due in self.root.later.items() if due <= now]
        for path in ready:
            del self.root.later[path]
        self._follow(hints, ready)
        if self._polled and self._next_poll <= now:
            self._poll_folders()

    def _poll_folders(self) -> None:
        """Look into the folders that have no watch, and take watches that are free again."""
        started = time.monotonic()
        fresh, is_all = self._look(Hints(folders=self._polled.topmost_folders()), [])
        if fresh or not is_all:
            self.state.active_at = started
            self.due = min(self.due, started + BUSY_SECONDS)
        self._read_at_once(fresh)
        self._note_polled()
        cost = time.monotonic() - started
        pause = max(self._settings.watch_poll_ms / 1000, cost * _SHARE_POLLED)
        self._next_poll = time.monotonic() + pause

    def _note_polled(self) -> None:
        """Say how many folders have no watch."""
        if self._watcher is not None:
            self.state.polled = len(self._polled)
            self._found = ("events", self._polled.note)
            self._set_mode(*self._found)

    def _read_at_once(self, paths: Iterable[bytes]) -> None:
        for path in paths:
            if path in self.root.queue and path != self.root.current:
                self.root.read_next(path)

    def _follow(self, hints: Hints, ready: list[bytes]) -> None:
        now = time.monotonic()
        if hints.root_lost:
            self.close()
        if hints.root_lost or hints.everything:
            self.due = now
        if not (hints.files or hints.folders or hints.soon or ready):
            return
        self.state.active_at = now
        self._interval = BUSY_SECONDS
        self.due = min(self.due, now + BUSY_SECONDS)
        fresh, is_all = self._look(hints, ready)
        if hints.soon or not is_all:
            spared = self._ended + self.state.round_seconds * _SHARE_POLLED
            self.due = min(self.due, max(now + _SOON_SECONDS, spared))
        self._read_at_once((*fresh, *(hints.files - set(fresh))))

    def _look(self, hints: Hints, ready: list[bytes]) -> tuple[list[bytes], bool]:
        files = {path for path in hints.files if self._is_watched(path)}
        folders = {path for path in hints.folders if self._is_watched(path)}
        is_all = len(files) + len(folders) == len(hints.files) + len(hints.folders)
        try:
            fresh, is_seen = self.root.look({*files, *ready}, folders, self._entered)
        except WatchRefusedError as refusal:
            self._poll(refusal)
        except TranscriptError:
            pass  # the round, which is due, says what is wrong with the root
        else:
            return fresh, is_seen and is_all
        self.due = time.monotonic()
        return [], True

    def _is_watched(self, path: bytes) -> bool:
        """Return whether ``path`` lies right in a folder that a round or a look went into.

        Some watchers tell of more: of what is ignored, or where a link leads out of the root.
        """
        return path == self.root.listing.root or path.rpartition(b"/")[0] in self._folders

    def round(self) -> None:
        """Look at everything below the root, queue what changed, and set the time of the next."""
        try:
            fresh = self._survey()
        except TranscriptError as error:
            self._missing(error)
            return
        self._note_polled()
        self._set_mode(*self._found)
        self._ended = time.monotonic()
        self.root.note_growth()
        self.state.rounds += 1
        hints = self._watcher.hints() if self._watcher else Hints()
        told = [path for path in fresh if not self._polled.holds(path)]
        missed = 0 if self._is_first else _missed(told, hints)
        self._around.activity.missed += missed
        self._schedule(is_busy=bool(fresh), has_missed=missed > 0)
        self._is_first = self._watcher is None
        self._follow(hints, [])

    def _survey(self) -> list[bytes]:
        before = self.root.listing.inode
        self._open()
        self._folders = set()
        self._polled.clear()
        try:
            fresh = self._timed_survey()
        except WatchRefusedError as refusal:
            self._poll(refusal)
            fresh = self._timed_survey()
        if before not in (0, self.root.listing.inode):  # another folder stands there now
            self.close()
            self._open()
            fresh += self._timed_survey()
        if self._watcher is not None:
            self._watcher.keep(self._folders)
        return fresh

    def _timed_survey(self) -> list[bytes]:
        started = time.monotonic()
        fresh = self.root.survey(self._entered)
        self.state.round_seconds = time.monotonic() - started
        return fresh

    def _entered(self, folder: bytes) -> None:
        if self._watcher is None:
            return
        try:
            self._watcher.watch(folder)
        except WatchLimitError as refusal:
            if folder == self.root.listing.root:
                raise
            self._polled.add(folder, refusal)
        else:
            self._polled.discard(folder)
        self._folders.add(folder)

    def _open(self) -> None:
        """Open a watcher where there is none and one is wanted."""
        is_polled = self._settings.watch_mode == "poll" or self._remote is not None
        if self._watcher is not None or is_polled or time.monotonic() < self._events_from:
            if self._watcher is None:
                self._found = ("poll", self._note())
            return
        try:
            latency = self._settings.watch_latency_ms
            self._watcher = open_watcher(self.root.path, latency_ms=latency)
        except WatchRefusedError as refusal:
            self._poll(refusal)
        else:
            self._is_first = True
            self._found = ("events", "")

    def _note(self) -> str:
        if self._remote is None:
            return self._found[1]
        return (
            f"{self._remote} is a network or shared file system, on which changes by others are not"
            " told: it is polled; set WATCH_MODE=events if only this machine writes there"
        )

    def _poll(self, refusal: WatchRefusedError) -> None:
        self.close()
        self._events_from = time.monotonic() + RETRY_EVENTS_SECONDS
        self._found = ("poll", f"{refusal}: it is polled; {refusal.remedy}")
        self._set_mode(*self._found)

    def _set_mode(self, mode: str, note: str) -> None:
        before = (self.state.mode, self.state.note.partition(":")[0])
        if before != (mode, note.partition(":")[0]):  # a number may change at each look
            tell = self._around.log.warning if note else self._around.log.info
            tell("watching", root=self.root.path.name, mode=mode, note=note)
        self.state.mode, self.state.note = mode, note
        self.state.polled = len(self._polled)

    def _missing(self, error: TranscriptError) -> None:
        """Wait for a root that is not there; nothing in it vanishes."""
        self.close()
        note = error.message.replace(str(self.root.path), self.root.path.name)
        self._set_mode("missing", f"{note}; waiting for it")
        self._is_first = True
        self.due = time.monotonic() + MISSING_SECONDS

    def _quiet_seconds(self) -> float:
        """Return how long may pass without a round; no event reports what is outside custody."""
        assert self._watcher is not None  # noqa: S101 -- its one caller made sure
        quiet = self._watcher.quiet_seconds
        is_unsure = self.root.is_unsure or self._polled
        return min(quiet, UNSURE_SECONDS) if is_unsure else quiet

    def _schedule(self, *, is_busy: bool, has_missed: bool) -> None:
        now, cost = time.monotonic(), self.state.round_seconds
        if is_busy:
            self.state.active_at = now
        if self._watcher is None:
            self.due = now + max(self._settings.watch_poll_ms / 1000, cost * _SHARE_POLLED)
            return
        if has_missed:
            self._interval = MISSED_SECONDS
        elif is_busy:
            self._interval = BUSY_SECONDS
        else:
            self._interval = min(self._interval * _QUIETER, self._quiet_seconds())
        self.due = now + max(self._interval, cost * _SHARE_WATCHED)


def _missed(fresh: list[bytes], hints: Hints) -> int:
    """Count what only a round found: no hint told of it, not even while the round was made."""
    told = tuple(folder + b"/" for folder in hints.folders)
    return sum(path not in hints.files and not path.startswith(told) for path in fresh)
