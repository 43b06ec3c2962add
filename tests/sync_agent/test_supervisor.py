"""How the supervisor treats whatever ships: started, woken, stopped, drained, started again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sync_agent.agent import supervisor
from sync_agent.agent.metrics import metrics_of
from sync_agent.agent.observation import Observer
from sync_agent.agent.supervisor import ShippingThread
from sync_agent.reading.activity import Activity, RootState
from tests.sync_agent.places import Place
from tests.sync_agent.running_agents import until


@dataclass
class Recorder:
    """Ships nothing, and notes what it is asked."""

    asked: list[str] = field(default_factory=list)
    failures: int = 0

    def run(self, stop: threading.Event, wake: threading.Event) -> None:
        """Note each wake until the stop."""
        self.asked.append("run")
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        while not stop.is_set():
            wake.wait()
            wake.clear()
            self.asked.append("woken")

    def drain(self, deadline: float) -> bool:
        """Note whether there was time left."""
        self.asked.append("drain")
        if self.failures < 0:
            raise ConnectionError
        return deadline > time.monotonic()

    def close(self) -> None:
        """Note it."""
        self.asked.append("close")

    def status(self) -> supervisor.Shipping:
        """Have none."""
        raise NotImplementedError


def test_a_reading_thread_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """W-48 The health endpoints say error as soon as nobody reads, whatever the rest says."""
    place = Place(tmp_path)
    place.sync()
    activity = Activity()
    alive, gone = (
        Observer(
            place.settings, activity, lambda: None, is_stuck=lambda is_stuck=is_stuck: is_stuck
        )
        for is_stuck in (False, True)
    )
    assert alive.look().status == "ok"
    assert (gone.look().status, gone.look().is_ready) == ("error", False)
    assert "reading" in gone.look().message


def test_errors_of_a_start_that_became_healthy_are_forgotten(tmp_path: Path) -> None:
    """W-48 What went wrong before is not a news; metrics keep it, because a counter never falls."""
    place = Place(tmp_path)
    place.sync()
    activity = Activity()
    activity.roots["root"] = RootState(is_read=False)
    activity.errors["file"] += 2
    observer = Observer(place.settings, activity, lambda: None, is_stuck=lambda: False)
    assert observer.look().errors == {"file": 2}
    activity.roots["root"].is_read = True
    assert observer.look().errors == {}
    activity.errors["file"] += 1
    seen = observer.look()
    assert (seen.errors, seen.errors_in_all) == ({"file": 1}, {"file": 3})
    assert 'component_errors_total{kind="file"} 3' in metrics_of(seen)


def test_shipping_is_woken_stopped_and_drained() -> None:
    """W-30 What is fresh wakes it; at the end the rest is shipped until the deadline."""
    shipping, fresh = Recorder(), threading.Event()
    thread = ShippingThread(shipping, fresh, failed=lambda _error: None)  # type: ignore[arg-type]
    fresh.set()
    until(lambda: "woken" in shipping.asked)
    assert thread.end(time.monotonic() + 10) is True
    assert (shipping.asked[0], shipping.asked[-1]) == ("run", "drain")
    assert ShippingThread(Recorder(), fresh, failed=lambda _error: None).end(0) is False  # type: ignore[arg-type]


def test_shipping_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """W-29 A failure of shipping is told, shipping begins again, and the end comes all the same."""
    monkeypatch.setattr(supervisor, "_SHIP_AGAIN_SECONDS", 0.01)
    failed: list[Exception] = []
    shipping, fresh = Recorder(failures=2), threading.Event()
    thread = ShippingThread(shipping, fresh, failed=failed.append)  # type: ignore[arg-type]
    until(lambda: shipping.asked == ["run"] * 3)
    assert len(failed) == 2
    shipping.failures = -1
    assert thread.end(time.monotonic() + 10) is False
    assert len(failed) == 3
