"""The reading thread in this process, where faults can be put into single files."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from annals.watching.notifications import Notifications
from sync_agent.agent.read_loop import Rounds
from sync_agent.buffer.fingerprints import Edges, read_edges
from sync_agent.reading import intake
from sync_agent.reading.activity import Activity
from sync_agent.reading.event_log import Logbook
from tests.sync_agent.places import CHAT, Place
from tests.sync_agent.running_agents import until

OTHER = "-b/2.jsonl"
LINE = b'{"type":"user","n":%d}\n'


@contextlib.contextmanager
def reading(place: Place) -> Iterator[Activity]:
    """Run the reading thread on ``place`` while the body runs."""
    activity = Activity()
    rounds = Rounds(
        place.settings,
        activity=activity,
        log=Logbook(place.settings),
        committed=lambda: None,
        replacing=lambda _begins: None,
    )
    thread = threading.Thread(target=rounds.run)
    thread.start()
    try:
        until(lambda: activity.is_ready)
        yield activity
    finally:
        rounds.stop(time.monotonic() + 120)
        thread.join()


def test_a_failure_in_one_file_does_not_stop_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-29 An unforeseen failure is counted, the file is left until it changes, others are read."""
    failing = [True]

    def fail(descriptor: int, offset: int) -> Edges:
        if failing[0] and offset == len(LINE % 1) * 2:
            raise ValueError
        return read_edges(descriptor, offset)

    monkeypatch.setattr(intake, "read_edges", fail)
    place.write(CHAT, LINE % 1 * 2)
    place.write(OTHER, LINE % 2)
    with reading(place) as activity:
        place.append(CHAT, LINE % 3)
        until(lambda: activity.errors["file"] == 1)
        place.append(OTHER, LINE % 4)
        until(lambda: len(place.lines()) == 4)
        failing[0] = False
        place.append(CHAT, LINE % 5)
        until(lambda: len(place.lines()) == 6)
        assert activity.errors == {"file": 1}
    assert place.custody().balanced


def test_a_log_that_fails_does_not_end_the_reading(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-48 A failure while another one is told is one more failure, and reading begins again."""
    failing = [True]

    def fail(*_: object, **__: object) -> None:
        if failing[0]:
            raise OSError(5, "the log is gone")

    monkeypatch.setattr(Logbook, "warning", fail)
    with reading(place) as activity:
        (place.root / "dangling.jsonl").symlink_to("nowhere")
        until(lambda: activity.errors["unexpected"] >= 1)
        failing[0] = False
        place.write(CHAT, LINE % 1)
        until(lambda: place.settings.sqlite_path.exists() and len(place.lines()) == 1)
        until(lambda: activity.trouble is None)


def test_a_failure_of_the_whole_is_told_and_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-29 A failure outside of any file is counted by its kind, and reading begins again."""
    place.write(CHAT, LINE % 1)
    with reading(place) as activity:
        with monkeypatch.context() as broken:
            broken.setattr("sync_agent.reading.root.plan", lambda *_given: 1 / 0)
            place.append(CHAT, LINE % 2)
            until(lambda: activity.errors["unexpected"] >= 1)
            assert activity.trouble == "unexpected ZeroDivisionError"
        until(lambda: len(place.lines()) == 2)
        until(lambda: activity.trouble is None)


def test_the_end_is_reached_without_anything_to_do(place: Place) -> None:
    """W-30 Stopped at rest, the thread ends at once, and what is on disk is read."""
    with reading(place):
        pass
    place.write(CHAT, LINE % 1)
    with reading(place) as activity:
        assert activity.entries == 1


def test_a_network_mount_is_polled_and_said_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-26 In mode auto a root on a network file system is polled; in mode events it is not."""
    monkeypatch.setattr("sync_agent.watching.watch.remote_file_system", lambda _path: "nfs4")
    with reading(place) as activity:
        (state,) = activity.roots.values()
        assert state.mode == "poll"
        assert "nfs4" in state.note
        assert "WATCH_MODE=events" in state.note
        place.write(CHAT, LINE % 1)
        until(lambda: len(place.lines()) == 1)
    place.settings = place.settings.model_copy(update={"watch_mode": "events"})
    with reading(place) as activity:
        assert [state.mode for state in activity.roots.values()] == ["events"]


def test_a_suspension_leads_to_a_round(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """W-07 Where the clock of suspensions has gone on, everything is looked at again."""
    asleep = [0.0]
    monkeypatch.setattr("sync_agent.agent.read_loop.asleep_seconds", lambda: asleep[0])
    with reading(place) as activity:
        (state,) = activity.roots.values()
        until(lambda: state.mode == "events")
        before = state.rounds
        asleep[0] = 3600.0
        place.write(CHAT, LINE % 1)
        until(lambda: len(place.lines()) == 1)
        until(lambda: state.rounds > before)


def test_the_watcher_of_other_systems_leads_to_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-50 With watchfiles: new folders, appends, moves; nothing ignored, nothing outside."""
    monkeypatch.setattr(
        "sync_agent.watching.watch.open_watcher",
        lambda root, latency_ms: Notifications(root, latency_ms=latency_ms),
    )
    outside = place.root.with_name("outside")
    outside.mkdir()
    with reading(place) as activity:
        (place.root / "-x").mkdir()
        (place.root / "-x" / "out").symlink_to(outside, target_is_directory=True)
        place.write("-a/.git/0.jsonl", LINE % 0)
        (outside / "9.jsonl").write_bytes(LINE % 9)
        path = place.write("-a/s/1.jsonl", LINE % 1)
        until(lambda: len(place.lines()) == 1)
        place.append("-a/s/1.jsonl", LINE % 2)
        until(lambda: len(place.lines()) == 2)
        (place.root / "-b" / "s").mkdir(parents=True)
        path.rename(place.root / "-b" / "s" / "1.jsonl")
        until(lambda: "moved" in place.events())
        time.sleep(0.3)
    assert place.lines() == [(LINE % 1)[:-1], (LINE % 2)[:-1]]
    assert activity.errors == {}
