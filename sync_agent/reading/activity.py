"""What the agent is doing and did: counted where it happens, read by the health endpoints."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

_EVENTS_SHOWN = 5
_WINDOW_SECONDS = 60
_ACTIVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What happened to a file: its name without its folder, and when it was noticed."""

    event: str
    file: str
    at: datetime


@dataclass(slots=True)
class RootState:
    """One watched root, as others may see it. ``mode`` is events, poll or missing.

    ``is_read`` says that everything that was there at the start is in the buffer, ``polled`` how
    many folders have no watch while the others have one.
    """

    mode: str = "starting"
    files: int = 0
    rounds: int = 0
    round_seconds: float = 0.0
    note: str = ""
    queued: int = 0
    active_at: float = -_ACTIVE_SECONDS
    is_read: bool = False
    polled: int = 0
    lag: dict[bytes, int] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether anything happened there within the last minute."""
        return time.monotonic() - self.active_at < _ACTIVE_SECONDS


class Activity:
    """Counters of this process. Written by the reading thread, read by any: single values only.

    ``trouble`` says what keeps the buffer from being written, None where nothing does.
    """

    def __init__(self) -> None:
        self.started_at = time.monotonic()
        self.roots: dict[str, RootState] = {}
        self.errors: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.last_events: deque[FileEvent] = deque(maxlen=_EVENTS_SHOWN)
        self.entries = 0
        self.quarantined = 0
        self.bytes_read = 0
        self.bytes_verified = 0
        self.missed = 0
        self.commits = 0
        self.unreadable = 0
        self.trouble: str | None = None
        self._processing_seconds = 0.0
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_WINDOW_SECONDS + 1)

    def count_event(self, event: str, file: str, *, seconds: float) -> None:
        """Count an event of a file and the time that working on it took."""
        self.events[event] += 1
        self.last_events.append(FileEvent(event, file, datetime.now(UTC)))
        self._processing_seconds += seconds
        now = int(time.monotonic())
        if self._seconds and self._seconds[-1][0] == now:
            self._seconds[-1] = (now, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((now, 1))

    @property
    def uptime(self) -> float:
        """Seconds since the agent was started."""
        return time.monotonic() - self.started_at

    @property
    def events_per_minute(self) -> int:
        """How many file events there were within the last minute."""
        since = time.monotonic() - _WINDOW_SECONDS
        return sum(count for second, count in tuple(self._seconds) if second > since)

    @property
    def average_ms(self) -> float:
        """Milliseconds that a file event took on the average."""
        total = self.events.total()
        return round(self._processing_seconds * 1000 / total, 3) if total else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether every root that is there was read to the end once."""
        states = tuple(self.roots.values())
        return bool(states) and all(state.mode == "missing" or state.is_read for state in states)
