"""The shipper: whatever the buffer has goes to MongoDB, as soon as it is there, indefinitely.

A server that is away costs the buffer's disk only: short failures are retried at once, after that
the circuit opens, and one attempt after another is made with growing pauses.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import stamina
from stamina.instrumentation import set_on_retry_hooks

from annals.errors import AnalyticsError, DependencyError
from annals.records.verification import Verification
from annals.settings import Settings
from annals.settings.destinations import note_used
from sync_agent.shipping.delivery import Delivered, Delivery
from sync_agent.shipping.identity import enroll_agent
from sync_agent.shipping.mongo import Remote
from sync_agent.shipping.outbox import open_outbox, standing

BATCH_BYTES = 8 * 1024 * 1024
"""Raw bytes of a batch, unless it is one larger record."""

COVER_SECONDS = 0.1
"""Live lines are inserted at once; ``committedSeq`` is raised and acknowledged once in so long."""

HEARTBEAT_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.5
_LOOK_SECONDS = 0.25
_SMALLEST_SHARE = 1 / 1024

Circuit = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class ShipperStatus:
    """How shipping goes.

    ``connected`` is None before the first attempt. ``shipped`` counts records over this process,
    ``errors`` by kind; ``average_ms`` is the time a batch takes. ``last_error`` holds no secret.
    ``note`` says what works, but could be better.
    """

    connected: bool | None
    circuit: Circuit
    shipped: int
    pending: int
    dead_letters: int
    last_ship_at: datetime | None
    last_error: str | None
    errors: dict[str, int]
    average_ms: float
    note: str | None = None


@dataclass(slots=True)
class _Tally:
    """The figures of a status while they grow."""

    connected: bool | None = None
    circuit: Circuit = "closed"
    shipped: int = 0
    batches: int = 0
    seconds: float = 0.0
    last_ship_at: datetime | None = None
    last_error: str | None = None
    errors: Counter[str] = field(default_factory=Counter)
    note: str | None = None

    def succeeded(self, delivered: Delivered, seconds: float) -> None:
        """Count a step that worked, also one that had nothing to ship."""
        self.connected, self.circuit, self.last_error = True, "closed", None
        if delivered.records:
            self.shipped += delivered.records - delivered.refused
            self.batches += 1
            self.seconds += seconds
            self.last_ship_at = datetime.now(UTC)

    def failed(self, error: AnalyticsError) -> None:
        """Count a step that did not."""
        if isinstance(error, DependencyError):
            self.connected = False
        self.last_error = error.message
        self.errors[str(error.context.get("kind", type(error).__name__))] += 1


class Shipper:
    """Ships the buffer at SQLITE_PATH to the server at MONGO_URI.

    Raises SettingsError at once where MONGO_URI cannot be right; the server itself is asked later.
    One thread ships at a time; :meth:`status` may be called from any.
    """

    def __init__(self, settings: Settings, *, remote: Remote | None = None) -> None:
        set_on_retry_hooks(())  # they would write to standard output
        self._settings = settings
        self._remote: Remote | None = remote or Remote(settings)
        self._turn = threading.Lock()
        self._opened = contextlib.ExitStack()
        self._delivery: Delivery | None = None
        self._tally = _Tally()
        self.verification = Verification()
        self._share = 1.0
        self._is_noted = False
        self._failures = 0
        self._heard_at = 0.0

    def run(self, stop: threading.Event, wake: threading.Event) -> None:
        """Ship until ``stop`` is set; ``wake`` says that there is something new.

        Without it the buffer is looked at every SYNC_INTERVAL_MS. Returns at the next moment after
        ``stop``; setting ``wake`` too makes that sooner. What was shipped last may not be covered
        and acknowledged then: :meth:`drain` does that.
        """
        while not stop.is_set():
            wake.clear()
            try:
                delivered = self._retried_step()
            except AnalyticsError:
                self._pause(stop)
                continue
            if not delivered.is_full:
                wake_or_stop(wake, stop, self._rest_seconds())

    def _rest_seconds(self) -> float:
        """Return how long there is nothing to do unless something new comes."""
        rest = self._settings.sync_interval_ms / 1000
        due = self._delivery.cover_in(COVER_SECONDS) if self._delivery else None
        return rest if due is None else min(rest, due)

    def drain(self, deadline: float) -> bool:
        """Ship what is left until ``time.monotonic()`` passes ``deadline``, then disconnect.

        Returns True when nothing is left.
        """
        if not self._turn.acquire(timeout=max(deadline - time.monotonic(), 0)):
            return False  # another thread still waits for an answer
        self._turn.release()
        never = threading.Event()
        try:
            while (left := deadline - time.monotonic()) > 0:
                try:
                    with self._server().within(left):
                        if not self.step().records:
                            return True
                except AnalyticsError:
                    self._failures += 1
                    never.wait(min(self._next_pause(), max(deadline - time.monotonic(), 0)))
            return not self.status().pending
        finally:
            self.close()

    def close(self) -> None:
        """Leave buffer and server; a later step opens both again."""
        with self._turn:
            self._leave()
            if self._remote is not None:
                self._remote.close()
            self._remote = None

    def status(self) -> ShipperStatus:
        """Return how shipping goes."""
        waiting = standing(self._settings.sqlite_path)
        tally = self._tally
        return ShipperStatus(
            connected=tally.connected,
            circuit=tally.circuit,
            shipped=tally.shipped,
            pending=waiting.pending,
            dead_letters=waiting.dead_letters,
            last_ship_at=tally.last_ship_at,
            last_error=tally.last_error,
            errors=dict(tally.errors),
            average_ms=1000 * tally.seconds / tally.batches if tally.batches else 0.0,
            note=tally.note,
        )

    def step(self, *, linger: float = 0.0) -> Delivered:
        """Ship one batch; enrol before that where this did not happen yet.

        ``linger`` as in :meth:`Delivery.ship`: without it everything is acknowledged at the end.

        Raises DependencyError (Transient) where the server does not answer, SettingsError where it
        refuses the user, ConflictError where another copy of the buffer was active (the next step
        goes on under a new agent id), LocalBufferError, DiskFullError.
        """
        started = time.monotonic()
        with self._turn:
            try:
                delivered = self._ship(linger)
            except DependencyError as error:
                # Maybe it was too much at once for a slow network.
                self._share = max(self._share / 2, _SMALLEST_SHARE)
                self._tally.failed(error)
                raise
            except BaseException as error:
                self._leave()
                if isinstance(error, AnalyticsError):
                    self._tally.failed(error)
                raise
        self._share = min(self._share * 2, 1.0)
        self._failures = 0
        self._tally.succeeded(delivered, time.monotonic() - started)
        return delivered

    def _ship(self, linger: float) -> Delivered:
        if self._delivery and not self._delivery.outbox.is_current():
            self._leave()
        delivery = self._delivery or self._enter()
        delivered = delivery.ship(
            rows=max(int(self._settings.batch_size * self._share), 1),
            size=int(BATCH_BYTES * self._share),
            linger=linger,
        )
        now = time.monotonic()
        if delivered.records:
            self._heard_at = now
            self._note_server()
        elif now - self._heard_at > HEARTBEAT_SECONDS:
            delivery.beat()
            self._heard_at = now
        return delivered

    def _enter(self) -> Delivery:
        """Open the buffer and agree with the server on who it is."""
        with contextlib.ExitStack() as opening:
            outbox = opening.enter_context(open_outbox(self._settings.sqlite_path))
            remote = self._server()
            self._tally.note = remote.make_indexes()
            enrolment = enroll_agent(outbox, remote)
            self._opened = opening.pop_all()
        self._heard_at = time.monotonic()
        self._delivery = Delivery(outbox, remote, enrolment, verification=self.verification)
        return self._delivery

    def _note_server(self) -> None:
        """Note once that the server takes records: from then on it stays allowed."""
        if not self._is_noted:
            note_used(self._settings, "mongo_uri")
            self._is_noted = True

    def _server(self) -> Remote:
        if self._remote is None:
            self._remote = Remote(self._settings)
        return self._remote

    def _leave(self) -> None:
        self._delivery = None
        self._opened.close()

    def _retried_step(self) -> Delivered:
        """Make a step; a short failure is retried at once, unless the circuit is open."""
        if self._failures:
            self._tally.circuit = "half-open"
            return self.step()
        try:
            return self.step(linger=COVER_SECONDS)
        except DependencyError:
            return self._step_again()

    def _step_again(self) -> Delivered:
        """Retry a step that failed; raise what it raises at last."""
        retries = stamina.retry_context(
            on=DependencyError, attempts=2, wait_initial=0.05, wait_max=0.5, wait_jitter=0.1
        )
        for attempt in retries:
            with attempt:
                return self.step()
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, stop: threading.Event) -> None:
        self._tally.circuit = "open"
        self._failures += 1
        stop.wait(self._next_pause())

    def _next_pause(self) -> float:
        """Return the seconds to wait: twice as long each time, another for each agent."""
        doubled: float = _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10)
        longest = min(doubled, LONGEST_PAUSE_SECONDS)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret depends on it


def wake_or_stop(wake: threading.Event, stop: threading.Event, seconds: float) -> None:
    """Wait for either event, or that long; a ``stop`` is seen within a quarter of a second."""
    until = time.monotonic() + seconds
    while not stop.is_set():
        left = until - time.monotonic()
        if left <= 0 or wake.wait(min(left, _LOOK_SECONDS)):
            return
