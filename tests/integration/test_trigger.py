"""The agent asks for pipeline runs: debounced, again where it has to, never in the reader's way."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from annals.locks import exclusive
from sync_agent.agent.observation import Observer
from sync_agent.agent.trigger import Asked
from sync_agent.reading.activity import Activity
from tests.conftest import start
from tests.sync_agent.places import CHAT, Place
from tests.sync_agent.running_agents import Agent, free_port, running, until

QUICK = {"PIPELINE_DEBOUNCE_S": "0.2", "PIPELINE_INTERVAL_S": "0.2"}
ANSWER = json.dumps(
    {
        "type": "assistant",
        "sessionId": "s",
        "timestamp": "2026-03-04T05:06:07.000Z",
        "message": {
            "role": "assistant",
            "model": "claude-opus-4-5",
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 5},
            "content": [],
        },
    }
)


def answer(number: int) -> bytes:
    """Return the line of a response of its own, of 10 input tokens."""
    record = json.loads(ANSWER)
    record |= {"uuid": f"u{number}", "requestId": f"r{number}"}
    record["message"]["id"] = f"m{number}"
    return json.dumps(record).encode() + b"\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty root with a buffer beside it."""
    return Place(tmp_path)


def tokens(place: Place) -> int:
    """Return the input tokens that the published build shows; 0 without one."""
    own = {
        "CLAUDE_DIR": str(place.root),
        "SQLITE_PATH": str(place.settings.sqlite_path),
        "ANNALS_HOME": str(place.settings.annals_home),
    }
    home = place.settings.annals_home
    done = start("usage", "daily", "--json", home=home, cwd=home, **own)
    return int(done.data["totals"]["inputTokens"]) if done.code == 0 else 0


def pipeline(agent: Agent) -> dict[str, Any]:
    """Return what ``/health`` says of pipeline runs."""
    found: dict[str, Any] = agent.health()["pipeline"]
    return found


@pytest.mark.slow
def test_what_arrives_is_published_without_a_command(place: Place) -> None:
    """With PIPELINE_TRIGGER=local the agent runs the pipeline itself, down to the last lines."""
    place.write(CHAT, answer(1))
    with running(place, PIPELINE_TRIGGER="local", **QUICK) as agent:
        until(lambda: pipeline(agent)["state"] == "running")
        place.append(CHAT, answer(2))  # while a run is under way
        until(agent.has(2))
        until(lambda: pipeline(agent)["state"] == "idle")
        assert tokens(place) == 20
        assert pipeline(agent)["failures"] == 0
        assert agent.stop() == 0


@pytest.mark.slow
def test_while_somebody_else_runs_the_pipeline_it_is_asked_for_again(place: Place) -> None:
    """A run that finds the lock taken counts as busy, and is asked for until one covers all."""
    place.write(CHAT, answer(1))
    lock = place.settings.pipeline_lock
    with running(place, PIPELINE_TRIGGER="local", **QUICK) as agent:
        with exclusive(lock, role="pipeline", what="the pipeline"):
            until(lambda: pipeline(agent)["busy"] >= 1)
            until(lambda: pipeline(agent)["waitingSeconds"] > 1)
            assert pipeline(agent)["runs"] == 0
        until(lambda: pipeline(agent)["runs"] >= 1)
        until(lambda: pipeline(agent)["state"] == "idle")
        assert agent.health()["status"] == "ok"
        assert pipeline(agent)["waitingSeconds"] == 0
    assert tokens(place) == 10


@pytest.mark.slow
def test_a_pipeline_that_fails_is_told_and_asked_for_again(place: Place) -> None:
    """A failure is counted, shown and logged, reading goes on, and a later run makes it good."""
    blocked = place.settings.annals_home / "blocked"
    blocked.mkdir(parents=True)
    place.write(CHAT, answer(1))
    own = {"PIPELINE_TRIGGER": "local", "DUCKDB_PATH": str(blocked)}
    with running(place, **own, **QUICK) as agent:
        until(lambda: pipeline(agent)["failures"] >= 1)
        found = agent.health()
        assert found["status"] == "degraded"
        assert "exit code" in found["pipeline"]["lastError"]
        assert str(place.root.parent) not in json.dumps(found)
        assert found["errors"]["pipeline"] >= 1
        until(agent.said("pipeline_not_run"))
        place.append(CHAT, answer(2))
        until(agent.has(2))
        blocked.rmdir()
        until(lambda: pipeline(agent)["runs"] >= 1)
        until(lambda: agent.health()["status"] == "ok")


class Server(ThreadingHTTPServer):
    """Answers as Prefect's API does: each run that is asked for ends in the next of ``ends``."""

    def __init__(self, ends: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.ends = ends
        self.asked = 0
        self.at_work = 0


class Answers(BaseHTTPRequestHandler):
    """The five calls that the agent makes."""

    server: Server

    def do_GET(self) -> None:
        """Answer with the deployment, or with the state of a run."""
        if self.path == "/api/deployments/name/pipeline/pipeline-adhoc":
            self._send({"id": "d1"})
        elif self.path.startswith("/api/csrf-token?client="):
            self._send({"token": "once"})
        else:
            number = int(self.path.removeprefix("/api/flow_runs/run-"))
            ends = self.server.ends
            state = ends[min(number, len(ends)) - 1]
            self._send({"id": self.path, "name": f"run-{number}", "state_type": state})

    def do_POST(self) -> None:
        """Answer how many runs are under way, or begin one."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/flow_runs/count":
            self._send(self.server.at_work)
        elif self.path == "/api/deployments/d1/create_flow_run":
            self.server.asked += 1
            self._send({"id": f"run-{self.server.asked}"})

    def _send(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def api(*ends: str) -> Iterator[Server]:
    """Serve such an API while the body runs."""
    with Server(list(ends)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_cancelled_run_is_asked_for_again(place: Place) -> None:
    """A run that the server cancels counts as busy, a failed one as failed; both are repeated."""
    with api("CANCELLED", "FAILED", "COMPLETED") as server:
        url = f"http://127.0.0.1:{server.server_port}/api"
        own = {"PIPELINE_TRIGGER": "prefect", "PREFECT_API_URL": url}
        with running(place, **own, **QUICK) as agent:
            until(lambda: pipeline(agent)["runs"] == 1)
            assert (pipeline(agent)["busy"], pipeline(agent)["failures"]) == (1, 1)
            until(lambda: pipeline(agent)["state"] == "idle")
            assert server.asked == 3
            server.at_work = 1  # a scheduled run, say
            place.write(CHAT, answer(1))
            until(lambda: pipeline(agent)["busy"] == 2)
            assert server.asked == 3
            server.at_work = 0
            until(lambda: pipeline(agent)["runs"] == 2)
            assert server.asked == 4


def test_a_server_that_is_away_costs_nothing_but_the_run(place: Place) -> None:
    """Reading goes on, health says what is wrong, and with the server back a run is asked for."""
    with api("COMPLETED") as server:
        port = server.server_port
    own = {"PIPELINE_TRIGGER": "prefect", "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    with running(place, **own, **QUICK) as agent:
        place.write(CHAT, answer(1))
        until(agent.has(1))
        until(lambda: pipeline(agent)["failures"] >= 2)
        assert "cannot be asked" in agent.health()["message"]
        assert 0 < pipeline(agent)["waitingSeconds"] <= agent.health()["uptime"]
        assert agent.get("/health")[0] == 200
        assert agent.stop() == 0


@pytest.mark.slow
def test_a_server_that_starts_as_the_agent_does_is_no_warning(place: Place) -> None:
    """For some seconds that is a note; where it persists it is a warning, told once."""
    own = {"PIPELINE_TRIGGER": "prefect", "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}
    with running(place, **own, **QUICK) as agent:
        until(lambda: pipeline(agent)["failures"] >= 3)
        until(lambda: "warning" in _levels(agent))
        assert _levels(agent)[:2] == ["info", "info"]
        assert _levels(agent).count("warning") == 1


def _levels(agent: Agent) -> list[str]:
    """Return the levels at which it was told that there was no run."""
    lines = (line for line in agent.told().splitlines() if "pipeline_not_run" in line)
    return [json.loads(line)["level"] for line in lines]


def test_what_waits_for_long_is_told(place: Place) -> None:
    """A run that hangs, our own or another's, is `degraded` with the minutes, and then again ok."""
    asked = Asked(state="running", since=time.monotonic() - 60)
    nothing = {"is_stuck": lambda: False, "asked": lambda: asked}
    seen = Observer(place.settings, Activity(), lambda: None, **nothing)
    assert (seen.look().status, seen.look().message) == ("ok", "")
    asked.since = time.monotonic() - 3_630
    assert seen.look().status == "degraded"
    assert seen.look().message.endswith("its run has been under way for 60 min")
    asked.state = "waiting"
    assert seen.look().message.endswith("another run has been under way for 60 min")
    asked.since = None
    assert seen.look().status == "ok"


def test_without_the_setting_nothing_is_asked(place: Place) -> None:
    """PIPELINE_TRIGGER is off by itself: no thread, no run."""
    place.write(CHAT, answer(1))
    with running(place) as agent:
        until(agent.has(1))
        assert agent.health()["pipeline"] is None
    assert not place.settings.pipeline_lock.exists()
    done = start("sync", "run", home=place.root, cwd=place.root, PIPELINE_TRIGGER="sometimes")
    assert done.code == 3
    assert "PIPELINE_TRIGGER" in done.err
