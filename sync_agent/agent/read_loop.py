"""The reading thread: from hints and rounds over all roots into the buffer, until it is to end.

Each time around: read what hints tell of, make the rounds that are due, take a slice of what waits
to be read, and commit. Waiting costs nothing: there is one poll over all watchers.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from annals.buffer.faults import DamagedBufferError, suspect_file
from annals.errors import AnalyticsError, DiskFullError
from annals.settings import Settings
from annals.watching.ignores import Ignores
from sync_agent.agent.requests import Desk
from sync_agent.agent.waiting import asleep_seconds, is_readable
from sync_agent.buffer.salvage import healthy_buffer, replace_damaged
from sync_agent.buffer.store import Buffer
from sync_agent.buffer.transaction_log import limit_rows
from sync_agent.reading.activity import Activity, RootState
from sync_agent.reading.event_log import Logbook
from sync_agent.reading.root import OutOfTimeError, Surroundings
from sync_agent.reading.tally import Tally
from sync_agent.upkeep.maintenance import Upkeep
from sync_agent.watching.polled import store_polled
from sync_agent.watching.watch import Watch

_SLICE_SECONDS = 0.05
"""Of what waits, so much is read before hints are looked at again."""

_LONGEST_WAIT_SECONDS = 60.0
_DESK_SECONDS = 5.0
_SUSPICION_SECONDS = 1.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_ENDING_RETRY_SECONDS = 0.2
_SUSPENDED_SECONDS = 2.0
_GRACE_SECONDS = 60.0


class _SuspectedError(Exception):
    """A reader found damage in the buffer: it is opened again, and checked as a whole."""


class Rounds:
    """Reads all roots into the buffer. :meth:`run` is the body of a thread.

    ``committed`` is called after each commit; ``desk`` answers what commands ask for; ``replacing``
    is called around the replacement of a corrupt buffer, when nobody else may have it open, with
    True before and False after.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        activity: Activity,
        log: Logbook,
        committed: Callable[[], None],
        replacing: Callable[[bool], None],
        desk: Desk | None = None,
    ) -> None:
        self.expected_by = time.monotonic() + _GRACE_SECONDS
        self._settings = settings
        self._activity = activity
        self._log = log
        self._committed = committed
        self._desk = desk
        self._is_asked = False
        self._next_desk = 0.0
        self._next_suspicion = 0.0
        self._replacing = replacing
        self._suspect = str(suspect_file(settings.sqlite_path))
        self._ignores = Ignores(settings.ignore_patterns)
        self._deadline: float | None = None
        self._tally = Tally(self, 0)
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._watches: list[Watch] = []
        self._buffer: Buffer | None = None
        self._upkeep: Upkeep | None = None
        self._polled: int | None = None
        self._asleep = asleep_seconds()
        self._is_nested = False

    def stop(self, deadline: float) -> None:
        """Ask for one last look at everything, and for the end by ``deadline`` (monotonic)."""
        self._deadline = deadline
        self.wake()

    def ask(self) -> None:
        """Have requests answered now (:mod:`sync_agent.agent.requests`)."""
        self._is_asked = True
        self.wake()

    def wake(self) -> None:
        """End the wait that the thread may be in."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writing, b"!")

    def is_stuck(self) -> bool:
        """Return whether the thread should have shown itself by now and did not."""
        return time.monotonic() > self.expected_by

    def run(self) -> None:
        """Read until :meth:`stop`; whatever fails is logged and tried again."""
        failures = 0
        while not self._is_done():
            failures = failures + 1 if self._activity.trouble else 0
            if self._wait_to_retry(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]):
                return

    def _is_done(self) -> bool:
        """Return whether everything was read and the end was asked for, whatever goes wrong."""
        try:
            return self._is_read_to_the_end()
        except Exception as error:  # noqa: BLE001 -- also what goes wrong while another is logged
            self._activity.errors["unexpected"] += 1
            self._activity.trouble = f"unexpected {type(error).__name__} at {_place(error)}"
            return False

    def _is_read_to_the_end(self) -> bool:
        """Read with a buffer that is opened again; return whether that was ended in order."""
        try:
            with healthy_buffer(self._settings.sqlite_path) as buffer:
                self._work(buffer)
        except DamagedBufferError as error:
            self._activity.errors["buffer_corrupt"] += 1
            self._replace(error)
        except AnalyticsError as error:
            self._refused(error)
        except _SuspectedError:
            self._log.warning("buffer_suspected", hint="all of it is checked")
        except Exception as error:  # noqa: BLE001 -- the outer edge of this thread
            self._activity.errors["unexpected"] += 1
            self._activity.trouble = f"unexpected {type(error).__name__}"
            self._log.warning("reading_failed", error=type(error).__name__, where=_place(error))
        else:
            return True
        finally:
            self._let_go()
        return False

    def _replace(self, error: DamagedBufferError) -> None:
        """Put a new buffer in the place of the corrupt one."""
        self._replacing(True)  # noqa: FBT003 -- a callback has no keywords
        try:
            warning = replace_damaged(self._settings.sqlite_path, error)
        except AnalyticsError as refused:
            self._refused(refused)
        else:
            self._log.warning("buffer_replaced", reason=self._without_folder(warning))
        finally:
            self._replacing(False)  # noqa: FBT003 -- as above

    def _refused(self, error: AnalyticsError) -> None:
        kind = "disk_full" if isinstance(error, DiskFullError) else "buffer"
        self._activity.errors[kind] += 1
        reason = self._without_folder(error.message)
        if self._activity.trouble != reason:
            self._log.warning(
                "buffer_refused", reason=reason, hint=self._without_folder(error.hint)
            )
        self._activity.trouble = reason

    def _without_folder(self, text: str) -> str:
        """Return ``text`` without the buffer's folder, which may name a person."""
        folder = self._settings.sqlite_path.parent
        return text.replace(f"{folder}/", "").replace(str(folder), "the buffer's folder")

    def _let_go(self) -> None:
        for watch in self._watches:
            watch.close()
        if self._upkeep is not None:
            self._upkeep.close()
        self._watches, self._upkeep, self._buffer, self._polled = [], None, None, None

    def _wait_to_retry(self, seconds: float) -> bool:
        """Wait; return whether the agent is to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._deadline is not None:
                left = min(left, _ENDING_RETRY_SECONDS)
                until = 0.0
            self._sleep(left)
        return self._deadline is not None and time.monotonic() > self._deadline

    def _work(self, buffer: Buffer) -> None:
        """Read until the end is asked for; raises what the buffer raises."""
        around = Surroundings(
            self._settings, self._ignores, buffer, self._tally, self._activity, self._log
        )
        self._buffer = buffer
        limit_rows(buffer.connection, self._settings.journal_rows)
        for path in self._settings.claude_dirs:
            state = self._activity.roots[str(path)] = RootState()
            self._watches.append(Watch(path, around, state=state))
        roots = [watch.root for watch in self._watches]
        self._upkeep = Upkeep(self._settings, buffer, roots, self._activity)
        try:
            while self._deadline is None:
                self._turn()
            for watch in self._watches:
                watch.round()
            while any(watch.root.queue for watch in self._watches):
                self._slice()
                self._commit()
            for watch in self._watches:
                watch.root.note_growth(all_of_it=True)
        except OutOfTimeError:
            self._log.warning("stopped_early", hint="what is left is read at the next start")
        self._commit()
        buffer.settle_file()
        buffer.require_in_place()

    def _turn(self) -> None:
        """Do what there is to do, then wait for more."""
        now = time.monotonic()
        for watch in self._watches:
            if watch.next_due() <= now and not watch.root.queue:
                if watch.due <= now:
                    watch.round()
                watch.handle_hints()
        if not self._slice():
            self._commit()
            if self._buffer is not None and self._buffer.settle_file():
                self._committed()
            self._answer()
            self._keep_up()
        self._commit()
        self._tell()
        if self._sleep(self._wait_seconds()) and self._settings.watch_latency_ms:
            time.sleep(self._settings.watch_latency_ms / 1000)
        self._heed()
        self._commit()

    def _keep_up(self) -> None:
        """Prune and verify a little, and make sure that the buffer is sound and in its place."""
        if self._upkeep is not None:
            self._upkeep.step()
        self._check_suspicion()
        if self._buffer is not None:
            self._buffer.require_in_place()

    def _tell(self) -> None:
        """Note where things stand, when all that was read is durable."""
        self._activity.trouble = None
        self._activity.unreadable = sum(watch.root.unreadable for watch in self._watches)
        for watch in self._watches:
            if watch.state.rounds and not watch.root.queue:
                watch.state.is_read = True
        polled = sum(watch.state.polled for watch in self._watches)
        if polled != self._polled and self._buffer is not None:
            store_polled(self._buffer.connection, polled)
            self._polled = polled

    def _slice(self) -> bool:
        """Read on in what waits, for a moment; return whether more is left."""
        until = time.monotonic() + _SLICE_SECONDS
        for watch in self._watches:
            while watch.root.queue:
                watch.root.read_next()
                if self._buffer is not None and self._buffer.is_due:
                    self._commit()
                if time.monotonic() > until:
                    self._check_time()
                    return True
        return False

    def report(self, _stage: str, _done: float, _total: float | None, *, unit: str) -> None:  # noqa: ARG002 -- Progress
        """Be told of a commit in the middle of a long file: read what is live before going on."""
        self._committed()
        self._check_time()
        if not self._is_nested and self._is_hinted(0):
            self._is_nested = True
            try:
                self._heed()
                self._commit()
            finally:
                self._is_nested = False

    def _check_time(self) -> None:
        self.expected_by = time.monotonic() + _GRACE_SECONDS
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise OutOfTimeError

    def _heed(self) -> None:
        """Read what hints tell of, in every root that has some."""
        now = time.monotonic()
        for watch in self._watches:
            number = watch.fileno()
            is_hinted = number is not None and is_readable([number], 0)
            if is_hinted or any(due <= now for due in watch.root.later.values()):
                watch.handle_hints()

    def _commit(self) -> None:
        buffer = self._buffer
        if buffer is not None and buffer.has_queued:
            buffer.commit()
            self._activity.commits += 1
            self._activity.bytes_read += self._tally.bytes_read
            self._tally.bytes_read = 0
            self._committed()

    def _answer(self) -> None:
        """Do what commands have asked for: when they knock, and every few seconds."""
        now = time.monotonic()
        is_due = self._is_asked or now >= self._next_desk
        if self._buffer is None or self._desk is None or not is_due:
            return
        self._is_asked = False
        self._next_desk = now + _DESK_SECONDS
        if self._desk.serve(self._buffer):
            self._committed()
        if self._upkeep is not None:
            self._upkeep.take_rereads()

    def _check_suspicion(self) -> None:
        """Give the buffer up where a reader found damage in it; look for that now and then."""
        now = time.monotonic()
        if now >= self._next_suspicion:
            self._next_suspicion = now + _SUSPICION_SECONDS
            if os.path.exists(self._suspect):  # noqa: PTH110 -- so often that it must be quick
                raise _SuspectedError

    def _wait_seconds(self) -> float:
        if any(watch.root.queue for watch in self._watches):
            return 0
        due = min(watch.next_due() for watch in self._watches)
        if self._upkeep is not None:
            due = min(due, self._upkeep.next_due())
        return min(max(0.0, due - time.monotonic()), _LONGEST_WAIT_SECONDS)

    def _sleep(self, seconds: float) -> bool:
        """Wait for hints, for :meth:`wake`, or until the time is over; notice a suspension.

        Returns whether there was something before that.
        """
        self.expected_by = time.monotonic() + seconds + _GRACE_SECONDS
        is_hinted = self._is_hinted(seconds)
        asleep = asleep_seconds()
        if asleep - self._asleep > _SUSPENDED_SECONDS:
            self._log.info("resumed", seconds=round(asleep - self._asleep))
            for watch in self._watches:
                watch.due = 0.0
            self._committed()
        self._asleep = asleep
        return is_hinted

    def _is_hinted(self, seconds: float) -> bool:
        numbers = [self._reading]
        numbers += [number for watch in self._watches if (number := watch.fileno()) is not None]
        is_hinted = is_readable(numbers, seconds)
        if is_hinted:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)
        return is_hinted


def _place(error: BaseException) -> str:
    """Return file and line that an error comes from; its text might be anything."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119
