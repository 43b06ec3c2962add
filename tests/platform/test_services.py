"""One supervised service: what counts as a sign of life, and when silence has it started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from annals.errors import SettingsError
from annals.settings import load_settings
from flows.running_services import folder_of
from operations.services.asking import Answer, Heartbeats, ask, ask_agent, is_ours, is_prefect
from operations.services.running import Running
from operations.services.services import Platform, Service
from operations.services.supervisor import Supervisor
from sync_agent.agent.observation import STUCK
from tests.sync_agent.running_agents import until


class Place(ThreadingHTTPServer):
    """Answers every question with ``status`` and ``body``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.status, self.body, self.name = 200, json.dumps({"status": "ok"}), "annals "
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """GET and POST, all alike."""

    server: Place

    def version_string(self) -> str:
        """Return the name that answers carry."""
        return self.server.name

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 -- the library's name

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Place]:
    """Serve while the test runs."""
    with Place() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def test_an_answer_is_told_from_silence(server: Place) -> None:
    """An error is an answer, which no restart mends; an agent that reads no more is silent."""
    assert ask_agent(server.url) is ask(server.url, is_ours) is Answer.HEALTHY
    server.status, server.body = 503, json.dumps({"message": "the disk is full"})
    assert ask(server.url, is_ours) is ask_agent(server.url) is Answer.UNWELL
    server.body = json.dumps({"message": STUCK})
    assert ask_agent(server.url) is Answer.SILENT
    server.shutdown()
    server.server_close()
    assert ask(server.url, is_ours) is ask_agent(server.url) is Answer.SILENT


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "null", "true", "hello", '{"status": "error"}', '{"status": ["ok"]}']
)
def test_an_answer_of_something_else_is_not_healthy(server: Place, body: str) -> None:
    """That something answers with a success is not a sign of the service that we started."""
    server.body = body
    assert ask_agent(server.url) is Answer.UNWELL
    is_right = Answer.HEALTHY if body == "true" else Answer.UNWELL
    assert ask(server.url, is_prefect) is is_right
    server.body, server.name = json.dumps({"status": "ok"}), "SimpleHTTP/0.6 Python/3.11"
    assert ask_agent(server.url) is ask(server.url, is_ours) is Answer.UNWELL


def _workers(**times: str | None) -> str:
    return json.dumps([{"name": one, "last_heartbeat_time": at} for one, at in times.items()])


def test_a_worker_lives_while_its_heartbeats_change(server: Place) -> None:
    """Neither an old heartbeat nor another worker's counts, and no clock has to be right."""
    beats = Heartbeats(server.url, "me", seconds=0.5)
    server.body = _workers(me="1999-01-01T00:00:00Z", other="2026-01-01T00:00:00Z")
    assert beats.ask() is Answer.SILENT
    server.body = _workers(me="1999-01-01T00:00:00Z", other="2026-01-01T00:00:30Z")
    assert beats.ask() is Answer.SILENT
    server.body = _workers(me="1999-01-01T00:00:30Z", other=None)
    assert beats.ask() is Answer.HEALTHY
    until(lambda: beats.ask() is Answer.SILENT)
    server.status = 500
    assert beats.ask() is Answer.UNWELL, "nobody can tell"
    server.status = 200
    assert beats.ask() is Answer.HEALTHY, "the silence is counted again"
    until(lambda: beats.ask() is Answer.SILENT)


class Bench:
    """A process that sleeps, under supervision, and what it is to answer."""

    def __init__(self, *, patience: float) -> None:
        self.answer = Answer.HEALTHY
        self.questions = 0
        self.said: list[str] = []
        service = Service(
            name="sleeper",
            command=(sys.executable, "-c", "import time; time.sleep(600)"),
            environment=dict(os.environ),
            address="",
            ask=self._ask,
            patience=patience,
        )
        self.running = Running(service, lambda _, text: self.said.append(text), Path())

    def _ask(self) -> Answer:
        self.questions += 1
        return self.answer

    def look(self) -> None:
        """Look as if it were time for the next question."""
        self.running.look()
        self.running._next_question = 0.0


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Run it, healthy, without patience."""
    found = Bench(patience=0.0)
    found.look()
    found.look()
    assert found.running.state.state == "healthy"
    yield found
    with contextlib.suppress(ProcessLookupError):
        found.running.end()


def test_each_service_is_told_when_it_gets_healthy(bench: Bench) -> None:
    """Once for each start, and not at each answer."""
    assert bench.said == ["sleeper is healthy after 0 s"]
    bench.look()
    bench.answer = Answer.UNWELL
    bench.look()
    bench.answer = Answer.HEALTHY
    bench.look()
    assert len(bench.said) == 1


def test_silence_has_it_started_again(bench: Bench) -> None:
    """After three questions without an answer even a stopped process is ended, and replaced."""
    first = bench.running.state.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    bench.answer = Answer.SILENT
    bench.look()
    assert bench.running.state.state == "failing"
    bench.look()
    bench.look()
    assert "it is started again" in bench.said[-1]
    until(lambda: bench.look() or bench.running.state.pid not in (None, first))
    assert bench.running.state.restarts == 1
    bench.answer = Answer.HEALTHY
    bench.look()
    assert bench.running.state.state == "healthy"


@pytest.mark.parametrize("answer", [Answer.HEALTHY, Answer.UNWELL])
def test_any_answer_ends_the_silence(bench: Bench, answer: Answer) -> None:
    """What answers now and then, be it with an error, is never ended."""
    for given in [Answer.SILENT, Answer.SILENT, answer] * 3:
        bench.answer = given
        bench.look()
    assert bench.running.state.restarts == 0
    assert bench.said == ["sleeper is healthy after 0 s"]
    assert bench.running.state.state == {"healthy": "healthy"}.get(answer.value, "failing")


def test_a_supervisor_that_slept_counts_anew(bench: Bench) -> None:
    """After a sleep of the machine the silence from before it is forgotten."""
    bench.answer = Answer.SILENT
    for _ in range(5):
        bench.look()
        bench.look()
        bench.running.reset_failures()
    assert bench.said == ["sleeper is healthy after 0 s"]


def test_a_service_that_was_stopped_takes_its_end(tmp_path: Path) -> None:
    """A stopped process goes on to hear the polite signal; it is not only killed in the end."""
    ready, heard = tmp_path / "ready", tmp_path / "heard"
    code = (
        "import pathlib, signal, sys, time\n"
        f"def end(*_): pathlib.Path({str(heard)!r}).touch(); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(600)"
    )
    said: list[str] = []
    service = _service(code, ask=lambda: Answer.HEALTHY)
    running = Running(service, lambda _, text: said.append(text), Path())
    running.look()
    try:
        until(ready.exists)
        assert running.state.pid
        os.kill(running.state.pid, signal.SIGSTOP)
    finally:
        running.end()
    assert heard.exists()
    assert not said


def _service(code: str, *, ask: Callable[[], Answer] | None) -> Service:
    """Return a service that runs some Python."""
    environment = dict(os.environ)
    return Service("it", (sys.executable, "-c", code), environment, "", ask, patience=0.0)


def test_work_is_done_when_it_has_ended_well(tmp_path: Path) -> None:
    """Work that runs once is healthy after exit code 0, and neither before nor after another."""
    go = tmp_path / "go"
    code = (
        "import pathlib, sys, time\n"
        f"go = pathlib.Path({str(go)!r})\n"
        "while not go.exists(): time.sleep(0.02)\n"
        "sys.exit(int(go.read_text()))"
    )
    said: list[str] = []
    running = Running(_service(code, ask=None), lambda _, text: said.append(text), Path())
    try:
        for _ in range(5):
            running.look()
            running._next_question = 0.0
            assert running.state.state == "starting"
        go.write_text("1")
        until(lambda: running.look() or running.state.state == "failing")
        assert "ended with status 1" in said[0]
        go.write_text("0")
        until(lambda: running.look() or running.state.state == "healthy")
    finally:
        running.end()


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[Service], list[str]]]:
    """Return what runs a service under a supervisor, to its end, and returns what that said."""
    settings = load_settings(annals_home=tmp_path)
    folder_of(settings).mkdir(parents=True)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    said: list[str] = []

    def run(service: Service) -> list[str]:
        Supervisor(
            settings,
            Platform((service,)),
            say=lambda _, text: said.append(text),
            show=lambda _: None,
        ).run()
        return said

    yield run
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_service_that_refuses_its_settings_ends_the_start(
    supervise: Callable[[Service], list[str]],
) -> None:
    """`up` gives up with that service's own error and hint: no restart would mend them."""
    code = "import sys; print('error: X is wrong'); print('hint: Set X.'); sys.exit(3)"
    with pytest.raises(SettingsError, match="it: X is wrong") as found:
        supervise(_service(code, ask=lambda: Answer.SILENT))
    assert found.value.hint == "Set X."


@pytest.mark.parametrize(("late", "is_forgiven"), [(-1.0, True), (1e9, False)])
def test_a_supervisor_forgives_after_its_own_sleep(
    supervise: Callable[[Service], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    late: float,
    is_forgiven: bool,
) -> None:
    """Where it was late itself it restarts nobody for the silence that it did not hear.

    What counts as late is set so that it is late every time, or never; nothing is measured.
    """
    monkeypatch.setattr("operations.services.supervisor._LATE_SECONDS", late)
    for name in ("_ASK_SECONDS", "_ASK_AGAIN_SECONDS", "_ASK_SILENT_SECONDS"):
        monkeypatch.setattr(f"operations.services.running.{name}", 0.0)
    asked: list[Answer] = []

    def ask() -> Answer:
        asked.append(Answer.SILENT if asked else Answer.HEALTHY)
        if len(asked) == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        return asked[-1]

    said = supervise(_service("import time; time.sleep(600)", ask=ask))
    restarted = [text for text in said if "it is started again" in text]
    assert bool(restarted) is not is_forgiven


def test_a_start_may_take_its_time() -> None:
    """What never was healthy is waited for, whatever its patience: it may be migrating."""
    bench = Bench(patience=0.0)
    bench.answer = Answer.SILENT
    try:
        for _ in range(20):
            bench.look()
            time.sleep(0.01)
        assert bench.questions > 3
        assert bench.running.state.state == "starting"
        assert not bench.said
    finally:
        bench.running.end()
