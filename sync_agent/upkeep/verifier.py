"""Verifies grown files: all that are due within one sync, or a few bytes at a time in the agent."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sync_agent.buffer.store import Buffer
from sync_agent.reading.activity import Activity
from sync_agent.reading.intake import Intake
from sync_agent.reading.opening import open_transcript
from sync_agent.reading.paths import Found, Listing
from sync_agent.reading.rereads import queue_paths
from sync_agent.reading.root import Root
from sync_agent.reading.tally import Tally
from sync_agent.reading.verification import (
    RUN_BYTES,
    Due,
    Pass,
    Verdict,
    due_files,
    forget_verdict,
    keep_verdicts,
    verify,
    within_budget,
)

BYTES_A_SECOND = 2 * 1024 * 1024
"""The agent verifies at this rate at most, so that live lines never wait for it."""

_KEPT_AT_ONCE = 200
_KEEP_SECONDS = 30.0
_LOOK_SECONDS = 60.0
_REASON = "changed behind its tail"


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A root in one sync: what was listed, and what reads it."""

    listing: Listing
    intake: Intake


def verify_grown(
    buffer: Buffer,
    roots: Sequence[Surveyed],
    *,
    max_line_bytes: int,
    tally: Tally,
) -> set[bytes]:
    """Verify what is due below the roots; return and queue the files that have changed.

    A file that cannot be read is left due.
    """
    grown = {item.path: item for item in due_files(buffer.connection, limit=-1)}
    listed = {
        found.path: found for one in roots for found in one.listing.files if found.path in grown
    }
    due = (item for path, item in grown.items() if path in listed)
    proved: list[tuple[Due, Verdict]] = []
    changed: dict[bytes, int] = {}
    for item in within_budget(list(due), RUN_BYTES):
        try:
            verdict = _verify_now(item, listed[item.path], max_line_bytes, tally)
        except OSError:
            continue
        if verdict.holds:
            proved.append((item, verdict))
        else:
            changed[item.path] = item.file_id
        if len(proved) >= _KEPT_AT_ONCE:
            keep_verdicts(buffer, proved)
            proved = []
    keep_verdicts(buffer, proved)
    if changed:
        queue_paths(buffer, changed, reason=_REASON)
        forget_verdict(buffer, changed.values())
    return set(changed)


def _verify_now(due: Due, found: Found, max_line_bytes: int, tally: Tally) -> Verdict:
    descriptor, _ = open_transcript(found)
    try:
        steps = verify(descriptor, due, max_line_bytes=max_line_bytes)
        while True:
            tally.bytes_verified += next(steps)
    except StopIteration as end:
        verdict: Verdict = end.value
        return verdict
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Running:
    """The file that is being verified."""

    due: Due
    root: Root
    descriptor: int
    steps: Pass


class BackgroundVerifier:
    """Verifies grown files between other work, at BYTES_A_SECOND; nothing else waits for it.

    It looks for due files once a minute, and verifies a file at most once a minute. Verdicts are
    stored a few at a time: one that is lost with the process is made again.
    """

    def __init__(
        self, buffer: Buffer, roots: Sequence[Root], *, activity: Activity, max_line_bytes: int
    ) -> None:
        self._buffer = buffer
        self._roots = roots
        self._activity = activity
        self._max_line_bytes = max_line_bytes
        self._running: _Running | None = None
        self._proved: list[tuple[Root, Due, Verdict]] = []
        self._left: dict[int, float] = {}
        self._next_step = 0.0
        self._next_keep = 0.0

    def next_due(self) -> float:
        """Return when there is something to do, on the monotonic clock."""
        return self._next_step

    def step(self) -> bool:
        """Verify a few bytes if it is time; return whether a file was found to have changed."""
        now = time.monotonic()
        if now < self._next_step:
            return False
        if self._running is None and not self._begin(now):
            self._keep(now)
            self._next_step = now + _LOOK_SECONDS
            return False
        return self._go_on(now)

    def close(self) -> None:
        """Leave the file that is being verified; it stays due."""
        if self._running is not None:
            os.close(self._running.descriptor)
            self._running = None

    def _begin(self, now: float) -> bool:
        """Open the next file that is due and not written to at this moment."""
        for due, root in self._candidates(now):
            found = root.found(due.path)
            if found is None:
                continue
            self._left[due.file_id] = now + _LOOK_SECONDS
            try:
                descriptor, _ = open_transcript(found)
            except OSError:
                continue
            root.intake.due.discard(due.file_id)
            steps = verify(descriptor, due, max_line_bytes=self._max_line_bytes)
            self._running = _Running(due, root, descriptor, steps)
            return True
        return False

    def _candidates(self, now: float) -> Iterator[tuple[Due, Root]]:
        self._left = {file_id: until for file_id, until in self._left.items() if until > now}
        roots = {bytes(root.path): root for root in self._roots}
        for due in due_files(self._buffer.connection):
            if due.file_id not in self._left and due.root in roots:
                yield due, roots[due.root]

    def _go_on(self, now: float) -> bool:
        running = self._running
        assert running is not None  # noqa: S101 -- its one caller made sure
        try:
            count = next(running.steps)
        except StopIteration as end:
            self.close()
            self._next_step = now
            return self._judge(running, end.value)
        except OSError:
            self.close()
            return False
        self._activity.bytes_verified += count
        self._next_step = now + count / BYTES_A_SECOND
        return False

    def _judge(self, running: _Running, verdict: Verdict) -> bool:
        if verdict.holds:
            self._proved.append((running.root, running.due, verdict))
            return False
        self._buffer.commit()
        queue_paths(self._buffer, [running.due.path], reason=_REASON)
        forget_verdict(self._buffer, [running.due.file_id])
        return True

    def _keep(self, now: float) -> None:
        """Store the verdicts, but for files that have grown again since."""
        if self._proved and now >= self._next_keep:
            proved, self._proved = self._proved, []
            self._next_keep = now + _KEEP_SECONDS
            still = [
                (due, verdict)
                for root, due, verdict in proved
                if due.file_id not in root.intake.due
            ]
            keep_verdicts(self._buffer, still)
