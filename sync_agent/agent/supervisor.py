"""``sync run``: the threads of the agent, its lock, its signals, and how it ends."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from annals.access import claim_buffer
from annals.buffer.faults import DamagedBufferError, translated
from annals.errors import DiskFullError
from annals.locks import exclusive
from annals.process.ending import EndRequest
from annals.settings import Settings
from annals.watching.ignores import Ignores
from sync_agent.agent.observation import Observer
from sync_agent.agent.once import LIVE_ROLE
from sync_agent.agent.read_loop import Rounds
from sync_agent.agent.requests import Desk
from sync_agent.agent.service import notify, watchdog_seconds
from sync_agent.agent.wake import KNOCK
from sync_agent.buffer.salvage import finish_replacement
from sync_agent.buffer.store import open_buffer
from sync_agent.reading.activity import Activity
from sync_agent.reading.event_log import Logbook
from sync_agent.shipping.shipping_service import Shipping, ShippingStatus

if TYPE_CHECKING:
    from sync_agent.agent.trigger import Asked, Trigger

_INTERRUPTED = 130
_GRACE_SECONDS = 1.0
_SHIP_AGAIN_SECONDS = 5.0

Say = Callable[[str], None]
"""Takes a line for the person who started the agent."""


def run(settings: Settings, *, say: Say) -> None:
    """Watch, read and ship until a signal asks for the end; a second one ends at once.

    Raises LockedError (exit 7) where another process holds the buffer, LocalBufferError where it
    is not a buffer of ours or may not be written, SettingsError for a setting that makes no sense.
    """
    Ignores(settings.ignore_patterns)
    claim_buffer(settings)
    path = settings.sqlite_path
    supervisor = Supervisor(settings, say=say)
    supervisor.heed_signals()
    with contextlib.ExitStack() as held:
        with translated(path):
            lock = exclusive(settings.buffer_lock, role=LIVE_ROLE, what=f"the buffer {path}")
            held.enter_context(lock)
        for message in _require_usable(settings):
            say(message)
        supervisor.run()


def _require_usable(settings: Settings) -> Sequence[str]:
    """Open the buffer once, so that what a person must correct or know is said at the start."""
    try:
        finish_replacement(settings.sqlite_path)
        with open_buffer(settings.sqlite_path) as buffer:
            return buffer.messages
    except (DamagedBufferError, DiskFullError):
        return ()  # the reading thread says so and deals with it


class Supervisor:
    """The running agent. Without MONGO_URI nothing is shipped: the buffer is the source."""

    def __init__(self, settings: Settings, *, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._log = Logbook(settings)
        self._activity = Activity()
        self._ending = EndRequest()
        self._fresh = threading.Event()
        self._ship: ShippingThread | None = None
        self._trigger: Trigger | None = None
        self._told: str | None = None
        is_shipping = settings.mongo_uri is not None
        desk = Desk(settings, self._fresh.set, self._shipping_status if is_shipping else None)
        self._rounds = Rounds(
            settings,
            activity=self._activity,
            log=self._log,
            committed=self._committed,
            desk=desk,
            replacing=self._replacing,
        )
        self._reading = threading.Thread(target=self._rounds.run, name="reading", daemon=True)

    def heed_signals(self) -> None:
        """From now on take signals as what they ask for, also before everything has started."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
            signal.signal(signal.SIGHUP, self._signalled)
        signal.signal(KNOCK, lambda _number, _frame: self._rounds.ask())

    def run(self) -> None:
        """Start everything, wait for the end, and end within SHUTDOWN_TIMEOUT_S."""
        self._start_shipping()
        self._reading.start()
        self._start_trigger()
        self._serve()
        notify("READY=1")
        self._wait()
        notify("STOPPING=1")
        now, seconds = time.monotonic(), self._settings.shutdown_timeout_s
        deadline = now + seconds
        read_until = deadline if self._ship is None else now + seconds / 2  # leave time to ship it
        self._rounds.stop(read_until)
        if self._trigger is not None:
            self._trigger.end(_GRACE_SECONDS)
        self._reading.join(timeout=max(0.0, read_until - time.monotonic()) + _GRACE_SECONDS)
        is_done = self._end_shipping(deadline)
        self._say("stopped" if is_done else "stopped; what is not shipped yet stays in the buffer")
        if self._reading.is_alive():
            os._exit(0)  # it is in the middle of one long file; what is committed is safe

    def _wait(self) -> None:
        """Wait for a signal; meanwhile tell the service manager that the reading goes on."""
        every = watchdog_seconds()
        while not self._ending.wait(every / 3 if every else None):
            if not self._rounds.is_stuck():
                notify("WATCHDOG=1")

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        if self._ending.is_asked():
            os._exit(_INTERRUPTED)  # at any point: whatever is not committed is read again
        self._ending.ask()

    def _serve(self) -> None:
        from sync_agent.agent.health import serve  # noqa: PLC0415 -- after reading has begun

        observer = Observer(
            self._settings,
            self._activity,
            lambda: self._ship.shipping if self._ship else None,
            is_stuck=lambda: not self._reading.is_alive() or self._rounds.is_stuck(),
            asked=self._asked,
        )
        where = ", ".join(root.name for root in self._settings.claude_dirs)
        try:
            served = serve(self._settings, observer)
        except OSError as error:
            self._log.warning(
                "health_unavailable",
                port=self._settings.health_port,
                reason=error.strerror or str(error),
                hint="set HEALTH_PORT to a free port, or to 0 for none",
            )
            served = None
        told = f"; health on http://{served[0]}:{served[1]}/health" if served else ""
        self._say(f"watching {where}{told}; end with Ctrl-C")

    def _committed(self) -> None:
        self._fresh.set()
        if self._trigger is not None:
            self._trigger.wake()

    def _start_trigger(self) -> None:
        """Have pipeline runs asked for, where PIPELINE_TRIGGER says so."""
        if self._settings.pipeline_trigger == "off":
            return
        from sync_agent.agent.pipelines import LocalPipelines, PrefectPipelines  # noqa: PLC0415 -- if wanted
        from sync_agent.agent.trigger import Trigger  # noqa: PLC0415 -- as above

        is_local = self._settings.pipeline_trigger == "local"
        self._trigger = Trigger(
            self._settings,
            LocalPipelines(self._settings) if is_local else PrefectPipelines(self._settings),
            arrived=lambda: self._activity.entries + self._activity.quarantined,
            is_within_reach=lambda: self._ship is None or self._shipping_status().pending == 0,
            failed=self._trigger_failed,
        )
        self._trigger.start()

    def _trigger_failed(self, reason: str, is_expected: bool) -> None:
        self._activity.errors["pipeline"] += 1
        if is_expected:
            self._log.info("pipeline_not_run_yet", reason=reason)
            return
        if reason != self._told:
            self._log.warning("pipeline_not_run", reason=reason)
        self._told = reason

    def _asked(self) -> Asked | None:
        return self._trigger.asked if self._trigger is not None else None

    def _start_shipping(self) -> None:
        if self._settings.mongo_uri is None:
            return
        shipper = importlib.import_module(
            "sync_agent.shipping.shipper"
        )  # loads the server's client
        shipping: Shipping = shipper.Shipper(self._settings)
        self._ship = ShippingThread(shipping, self._fresh, failed=self._shipping_failed)

    def _shipping_failed(self, error: Exception) -> None:
        self._activity.errors["shipping"] += 1
        self._log.warning("shipping_failed", error=type(error).__name__)

    def _shipping_status(self) -> ShippingStatus:
        assert self._ship is not None  # noqa: S101 -- shipping starts before reading does
        return self._ship.shipping.status()

    def _end_shipping(self, deadline: float) -> bool:
        return self._ship is None or self._ship.end(deadline)

    def _replacing(self, begins: bool) -> None:
        """Keep shipping away from the buffer while another one is put in its place."""
        if begins:
            if self._ship is not None:
                self._ship.stop_threads()
        else:
            self._start_shipping()


class ShippingThread:
    """Shipping in a thread of its own; where it fails altogether it is started again."""

    def __init__(
        self, shipping: Shipping, fresh: threading.Event, *, failed: Callable[[Exception], None]
    ) -> None:
        self.shipping = shipping
        self._fresh = fresh
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.shipping.run(self._stop, self._fresh)
            except Exception as error:  # noqa: BLE001 -- the outer edge of this thread
                self._failed(error)
                self._stop.wait(_SHIP_AGAIN_SECONDS)

    def stop_threads(self) -> None:
        """Stop shipping, and wait until it has."""
        self._stop.set()
        self._fresh.set()
        self._thread.join()
        self.shipping.close()

    def end(self, deadline: float) -> bool:
        """Stop shipping and ship what is left until ``deadline``; return whether nothing is."""
        self._stop.set()
        self._fresh.set()
        self._thread.join(timeout=max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return False
        try:
            return self.shipping.drain(deadline)
        except Exception as error:  # noqa: BLE001 -- the end comes all the same
            self._failed(error)
            return False
