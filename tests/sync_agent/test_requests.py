"""What commands ask of a live agent, and do themselves where there is none."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from annals.errors import AnalyticsError, LockedError, PartialError
from annals.locks import Holder, exclusive
from sync_agent.agent.flush import Flushed, flush
from sync_agent.agent.once import LIVE_ROLE
from sync_agent.agent.requests import Desk, Kind, ask
from sync_agent.agent.wake import KNOCK, wake_agent
from sync_agent.buffer.store import open_buffer
from tests.sync_agent.places import CHAT, Place

LINE = b'{"a":1}\n'


@dataclass
class Shipper:
    """A shipper that has shipped everything a while after it was woken."""

    pending: int = 3
    woken: list[int] = field(default_factory=list)

    def wake(self) -> None:
        """Be woken."""
        self.woken.append(self.pending)

    def status(self) -> Shipper:
        """Return the status; each look at it finds one record fewer."""
        self.pending -= bool(self.woken and self.pending)
        return self


@contextlib.contextmanager
def _agent(place: Place, shipper: Shipper | None = None, *, serving: bool = True) -> Iterator[None]:
    """Hold the buffer as a live agent does, and answer requests."""
    stop, ready = threading.Event(), threading.Event()
    desk = Desk(place.settings)
    if shipper:
        desk = Desk(place.settings, shipper.wake, shipper.status)

    def live() -> None:
        with (
            exclusive(place.settings.buffer_lock, role=LIVE_ROLE, what="the buffer"),
            open_buffer(place.settings.sqlite_path) as buffer,
        ):
            ready.set()
            while not stop.wait(0.01):
                if serving:
                    desk.serve(buffer)

    thread = threading.Thread(target=live)
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _filled(place: Place) -> Place:
    place.write(CHAT, LINE * 2 + b"broken\n")
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("insert into consumers values ('lake', 4, 0)")
    return place


def test_without_an_agent_the_command_does_it(place: Place) -> None:
    """B-16 If nobody holds the buffer the command takes its lock and works itself."""
    done = ask(_filled(place).settings, Kind.REPLAY, {}, timeout=120)
    assert done["requeued"] == 4
    assert place.query("select count(*) from requests") == [(0,)]


def test_a_live_agent_does_what_is_asked(place: Place) -> None:
    """B-16 With a live agent the one writer does the work, and the command gets its answer."""
    with _agent(_filled(place)):
        assert ask(place.settings, Kind.REPLAY, {}, timeout=120)["requeued"] == 4
        (told,) = ask(place.settings, Kind.RETRY, {"names": ["q7"]}, timeout=120)["retried"]
        assert told["outcome"] == "still no entry: not_json"
    rows = place.query("select kind, done_at is not null from requests order by request_id")
    assert rows == [("replay", 1), ("retry", 1)]


def test_what_the_agent_cannot_do_is_an_error_here(place: Place) -> None:
    """B-16 An error of the agent's reaches the command with its message and hint."""
    with _agent(_filled(place)), pytest.raises(AnalyticsError, match="under the name q99") as told:
        ask(place.settings, Kind.RETRY, {"names": ["q99"]}, timeout=120)
    assert "quarantine list" in told.value.hint


def test_an_agent_that_does_not_answer_leaves_the_request(place: Place) -> None:
    """B-16 A request that was not answered in time is exit 6, stays, and is done later, once."""
    with _agent(_filled(place), serving=False), pytest.raises(PartialError):
        ask(place.settings, Kind.REPLAY, {}, timeout=0.3)
    assert place.query("select count(*) from records") == [(4,)]
    with open_buffer(place.settings.sqlite_path) as buffer:
        assert Desk(place.settings).serve(buffer) == 1
        assert Desk(place.settings).serve(buffer) == 0
    assert place.query("select count(*) from records") == [(8,)]


def test_an_agent_that_ends_leaves_the_work_to_the_command(place: Place) -> None:
    """B-16 Where the agent ends without an answer, the command does it itself."""
    _filled(place)
    done: list[dict[str, int]] = []
    asking = threading.Thread(
        target=lambda: done.append(ask(place.settings, Kind.REPLAY, {}, timeout=120))
    )
    with _agent(place, serving=False):
        asking.start()
        while not place.query("select 1 from requests"):
            assert asking.is_alive()
    asking.join()
    assert done[0]["requeued"] == 4
    assert place.query("select count(*) from requests") == [(0,)]


def test_another_command_is_not_asked(place: Place) -> None:
    """B-16 Where a command that answers nothing holds the buffer, that is exit 7."""
    _filled(place)
    lock = exclusive(place.settings.buffer_lock, role="sync once", what="the buffer")
    with lock, pytest.raises(LockedError):
        ask(place.settings, Kind.REPLAY, {}, timeout=1)


def test_a_flush_is_answered_when_all_is_shipped(place: Place) -> None:
    """B-16 The agent wakes its shipper once, and answers when nothing is pending any more."""
    shipped = Place(place.root.parent, mongo_uri="mongodb://127.0.0.1:1/")
    shipper = Shipper()
    with _agent(_filled(shipped), shipper):
        assert flush(shipped.settings, timeout=120) == Flushed("agent")
    assert (shipper.woken, shipper.pending) == ([3], 0)


def test_a_flush_that_takes_too_long_is_partial(place: Place) -> None:
    """B-16 A flush that is not finished in time is exit 6; the agent goes on with it."""
    shipped = Place(place.root.parent, mongo_uri="mongodb://127.0.0.1:1/")
    shipper = Shipper(pending=1 << 60)
    with _agent(_filled(shipped), shipper), pytest.raises(PartialError):
        flush(shipped.settings, timeout=0.3)


def test_an_agent_is_woken_only_where_it_expects_it(tmp_path: Path) -> None:
    """B-16 SIGUSR1 is sent to a process of this machine that catches it, and to no other."""
    here = Holder.this_process(LIVE_ROLE)
    heard: list[int] = []
    assert not wake_agent(here)  # this process would end by it
    before = signal.signal(KNOCK, lambda number, _frame: heard.append(number))
    try:
        assert wake_agent(here)
        assert not wake_agent(replace(here, host="elsewhere"))
        assert not wake_agent(replace(here, pid=0))
        assert not wake_agent(here, tmp_path)  # a system that does not tell
        assert not wake_agent(None)
    finally:
        signal.signal(KNOCK, before)
    assert heard == [KNOCK]


def test_without_a_server_there_is_nothing_to_flush_to(place: Place) -> None:
    """B-16 Without MONGO_URI nothing is shipped and nothing is made."""
    assert flush(place.settings, timeout=1) == Flushed("nobody")
    assert not place.settings.sqlite_path.exists()
