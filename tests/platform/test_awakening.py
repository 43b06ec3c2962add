"""A server that slept counts silences from its waking, and a late heartbeat revives its run."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.servers.prefects import Platform, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VALIDATE = "validate/validate-daily"
ZOMBIE_SECONDS = 40


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_gap_in_the_beat_is_told_once() -> None:
    """The start, a sleep and a clock that was set are reported once each; a busy second is not."""
    from flows.prefect.awakening import Beat

    clock = Clock()
    beat = Beat(clock)
    assert [beat.take(), beat.take()] == [True, False]
    for change, tells in ((1, False), (9, False), (11, True), (1, False), (-3_600, True)):
        clock.now += change
        assert [beat.take(), beat.take()] == [tells, False], change
    clock.now += 100
    beat.note()
    clock.now += 1
    assert beat.take(), "noted by the beat itself before anybody asked"
    beat.give_back()
    assert beat.take(), "what was to be done about it failed"


def _running(platform: Platform) -> str:
    """Have a run that counts as running, and of which no worker knows; return its id."""
    deployment = platform.get(f"/deployments/name/{VALIDATE}")["id"]
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    run_id: str = platform.post(f"/deployments/{deployment}/create_flow_run", state=later)["id"]
    platform.post(f"/flow_runs/{run_id}/set_state", state={"type": "RUNNING"}, force=True)
    return run_id


def _beat(platform: Platform, run_id: str, *, ago: float = 0) -> None:
    """Tell the server of a heartbeat of that run."""
    event = {
        "id": str(uuid4()),
        "occurred": (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
        "related": [{"prefect.resource.id": "prefect.tag.annals", "prefect.resource.role": "tag"}],
    }
    platform.call("POST", "/events", [event])


def test_a_heartbeat_after_the_verdict_takes_it_back(platform: Platform) -> None:
    """A run that counted as dead and beats counts as running; one that failed stays failed."""
    from flows.prefect.automations import SILENT

    run_id, failed = _running(platform), _running(platform)
    for one, message in ((run_id, f"{SILENT} for 40 seconds: its process is gone"), (failed, "x")):
        dead = {"type": "CRASHED", "name": "Crashed", "message": message}
        platform.post(f"/flow_runs/{one}/set_state", state=dead, force=True)
    _beat(platform, failed)
    _beat(platform, run_id, ago=30)  # it was sent before the verdict
    _beat(platform, run_id)
    until(lambda: platform.state(run_id)["type"] == "RUNNING", what="the run as running")
    assert platform.state(failed)["type"] == "CRASHED"
    for one in (run_id, failed):
        platform.post(f"/flow_runs/{one}/set_state", state={"type": "COMPLETED"}, force=True)


@pytest.mark.stack
def test_a_sleep_is_no_silence(platform: Platform) -> None:
    """Stopped for longer than a run may be silent, the server gives it its full time again.

    The silence was nearly over when the server was stopped, so that the stop can be short.
    """
    run_id = _running(platform)
    _beat(platform, run_id, ago=ZOMBIE_SECONDS - 6)
    time.sleep(1)
    server = platform.server.popen.pid
    os.kill(server, signal.SIGSTOP)
    try:
        time.sleep(13)
    finally:
        os.kill(server, signal.SIGCONT)
    slept_until = time.monotonic()
    while time.monotonic() < slept_until + ZOMBIE_SECONDS / 2:
        assert platform.state(run_id)["type"] == "RUNNING"
        time.sleep(1)
    platform.post(f"/flow_runs/{run_id}/set_state", state={"type": "COMPLETED"}, force=True)
