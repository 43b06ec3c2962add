"""``up`` and ``down`` without Docker: from a line appended by hand to a published figure."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annals.locks import held_by
from annals.prefect_api import PrefectApi
from tests.conftest import ROOT, Finished, clean_environment, start
from tests.integration.test_trigger import answer
from tests.sync_agent.running_agents import free_port

PATIENCE = 240.0
BROWSER = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1280,900"),
)


@dataclass(frozen=True)
class Up:
    """A home in which the platform is up, with ports of its own."""

    home: Path
    settings: dict[str, str]

    @property
    def api(self) -> str:
        """The address of the Prefect API."""
        return self.settings["PREFECT_API_URL"]

    def run(self, *arguments: str) -> Finished:
        """Run a command in this home."""
        return start(*arguments, home=self.home, cwd=self.home, **self.settings)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what the Prefect API answers; with a body it is a POST."""
        login = (self.home / ".annals" / "prefect" / "login").read_text().strip()
        return PrefectApi(self.api, login, seconds=30).call(
            "GET" if body is None else "POST", path, body
        )

    def append(self, number: int) -> None:
        """Append an answer of 10 input tokens to a transcript, as an agent would."""
        path = self.home / "transcripts" / "-p" / "s.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(answer(number))

    def tokens(self) -> int:
        """Return the input tokens that `usage daily` shows; 0 while nothing is published."""
        done = self.run("usage", "daily", "--json")
        return int(done.data["totals"]["inputTokens"]) if done.code == 0 else 0

    def pid(self, name: str) -> int | None:
        """Return the process of a service."""
        noted = json.loads((self.home / ".annals" / "platform" / "up.json").read_text())
        found: int | None = {one["name"]: one["pid"] for one in noted["services"]}.get(name)
        return found


def own_settings(home: Path) -> dict[str, str]:
    """Return settings with ports that nobody has."""
    return {
        "CLAUDE_DIR": str(home / "transcripts"),
        "HEALTH_PORT": str(free_port()),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "DBT_DOCS_URL": f"http://127.0.0.1:{free_port()}",
        "PIPELINE_DEBOUNCE_S": "1",
        "PIPELINE_INTERVAL_S": "1",
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Start the platform once, with embedded defaults; it is ended whatever happens."""
    home = tmp_path_factory.mktemp("up")
    (home / "transcripts").mkdir()
    found = Up(home, own_settings(home))
    done = found.run("up", "--detach", "--timeout", str(PATIENCE - 20), "--json")
    log = home / ".annals" / "platform" / "up.log"
    try:
        assert done.code == 0, done.err + (log.read_text() if log.exists() else "")
        assert (done.data["healthy"], "agent is healthy" in done.err) == (True, True)
        yield found
    finally:
        assert found.run("down").code == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_line_by_hand_is_in_the_published_build_without_a_command(
    place: Up, record_property: Any
) -> None:
    """Its tokens are in `usage daily`; the run, its artifacts and its lineage are in Prefect."""
    place.append(1)
    seconds = until(lambda: place.tokens() == 10)
    record_property("seconds_to_first_figure", seconds)
    place.append(2)
    seconds = until(lambda: place.tokens() == 20)
    record_property("seconds_to_next_figure", seconds)
    runs = place.ask("/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["trigger:agent"]}}})
    assert runs
    done = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    until(lambda: len(place.ask("/flow_runs/filter", done)) >= 2)
    keys = {one["key"] for one in place.ask("/artifacts/filter", {}) if one["key"]}
    assert "pipeline-summary" in keys
    wanted = {"filter": {"event": {"prefix": ["prefect.asset.materialization"]}}}
    until(lambda: _stations(place, wanted) >= {"annals://published/current"})
    assert any(one.startswith("annals://lake/") for one in _stations(place, wanted))


def _stations(place: Up, wanted: dict[str, Any]) -> set[str]:
    """Return the assets that events tell of."""
    events = place.ask("/events/filter", wanted)["events"]
    return {event["resource"]["prefect.resource.id"] for event in events}


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ["prefect", "docs"])
def test_a_browser_shows_it(place: Up, page: str, tmp_path: Path) -> None:
    """The dbt docs come up in a real browser; Prefect's UI asks for the login and shows no more."""
    browser = shutil.which("chromium")
    if browser is None:
        assert not os.environ.get("CI"), "CI must have a browser (.ci/run installs it)"
        pytest.skip("no chromium on this machine")
    url, words = {
        "prefect": (f"{place.api.removesuffix('/api')}/deployments", ("Authentication failed",)),
        "docs": (place.settings["DBT_DOCS_URL"] + "/#!/overview", ("fct_api_responses", "annals")),
    }[page]
    shot = tmp_path / "shot.png"
    command = [
        *(browser, *BROWSER, f"--user-data-dir={tmp_path / 'profile'}", "--timeout=60000"),
        *("--virtual-time-budget=60000", f"--screenshot={shot}", "--dump-dom", url),
    ]

    def shown() -> bool:
        seen = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert "pipeline-hourly" not in seen.stdout
        return all(word in seen.stdout for word in words) and shot.exists()

    assert shown() or shown(), "neither the first nor a second look shows it"
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert shot.stat().st_size > 10_000, "a blank page is smaller"


@pytest.mark.slow
def test_up_again_says_how_it_stands(place: Up) -> None:
    """A second `up` starts nothing, lists each service and its address, and succeeds."""
    before = place.pid("agent")
    done = place.run("up", "--json")
    assert done.code == 0
    assert "runs already" in done.err
    services = {one["name"]: one for one in done.data["services"]}
    assert set(services) == {"agent", "prefect", "deploy", "worker", "docs"}
    assert services["prefect"]["address"] == place.api.removesuffix("/api")
    assert place.pid("agent") == before


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_service_that_dies_is_started_again(place: Up) -> None:
    """Killed, the agent comes back after a pause, and the log says so."""
    before = place.pid("agent")
    assert before
    os.kill(before, signal.SIGKILL)
    until(lambda: place.pid("agent") not in (None, before))
    log = place.home / ".annals" / "platform" / "up.log"
    assert "agent ended with status -9" in log.read_text()
    started = place.home / ".annals" / "platform" / "start.log"
    assert started.read_text() == "", "it would grow as long as the supervisor lives"
    url = f"http://127.0.0.1:{place.settings['HEALTH_PORT']}/health"
    until(lambda: _answers(url))


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_service_that_hangs_is_started_again(place: Up) -> None:
    """Stopped, the dbt docs has to be failing, ended, and started again as another process."""
    before = place.pid("docs")
    assert before
    os.kill(before, signal.SIGSTOP)
    until(lambda: _standing(place, "docs")["state"] == "failing")
    until(lambda: place.pid("docs") not in (None, before))
    assert not Path(f"/proc/{before}").exists()
    until(lambda: _standing(place, "docs")["state"] == "healthy")
    assert _standing(place, "docs")["restarts"] == 1
    log = (place.home / ".annals" / "platform" / "up.log").read_text()
    assert re.search(r"up +\| docs has not been healthy for \d+ s; it is started again", log)
    assert "service     docs: healthy, started again 1 times" in place.run("status").out
    assert [_standing(place, name)["restarts"] for name in ("prefect", "worker")] == [0, 0]


def _standing(place: Up, name: str) -> dict[str, Any]:
    """Return what `annals status` says of a service."""
    services = place.run("status", "--json").data["services"]
    found: dict[str, Any] = next(one for one in services if one["name"] == name)
    return found


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as found:  # noqa: S310
        return bool(found.status == 200)
    return False


def until(question: Callable[[], object]) -> float:
    """Wait until the answer is yes; return the seconds that took."""
    started = time.monotonic()
    while not question():
        assert time.monotonic() - started < PATIENCE, "it did not happen"
        time.sleep(0.2)
    return time.monotonic() - started


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_down_while_a_pipeline_runs_loses_nothing(place: Up) -> None:
    """The run rolls back, everything ends and gives its ports back, and the next run goes on."""
    place.append(3)
    at_work = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    until(lambda: place.ask("/flow_runs/filter", at_work))
    pids = [pid for name in ("agent", "prefect", "worker", "docs") if (pid := place.pid(name))]
    done = place.run("down", "--json")
    assert done.code == 0, done.err
    assert {"agent", "prefect", "worker"} <= set(done.data["stopped"])
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert place.run("down", "--json").data == {"schema_version": 1, "stopped": []}
    without = place.run("pipeline")  # its server is down: it says so, and runs without it
    assert (without.code, "note: runs without Prefect" in without.err) == (0, True), without.err
    plain = {name: value for name, value in place.settings.items() if name != "PREFECT_API_URL"}
    own = start("pipeline", home=place.home, cwd=place.home, **plain)
    assert own.code == 0, own.err
    assert place.tokens() == 10 * (place.home / "transcripts/-p/s.jsonl").read_text().count("\n")
    checked = start("validate", home=place.home, cwd=place.home, **plain)
    assert checked.code == 0, checked.out


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_down_finds_what_was_started_this_moment(tmp_path: Path) -> None:
    """However short --timeout is, `up --detach` returns when `down` can end it, and not before."""
    (tmp_path / "transcripts").mkdir()
    place = Up(tmp_path, own_settings(tmp_path))
    done = place.run("up", "--detach", "--timeout", "0")
    assert done.code == 6, done.err
    lock = tmp_path / ".annals" / "platform" / "up.lock"
    holder = held_by(lock)
    assert holder is not None
    assert place.run("down").code == 0
    assert held_by(lock) is None


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Another program's port is exit 7 with the setting to change, and nothing is started."""
    (tmp_path / "transcripts").mkdir()
    settings = own_settings(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        for words in (("up",), ("up", "--detach")):
            done = start(*words, home=tmp_path, cwd=tmp_path, **settings)
            assert done.code == 7, done.err
            assert f"port {port} of prefect is in use" in done.err
            assert "PREFECT_API_URL" in done.err
    assert not (tmp_path / ".claude-sync").exists()


def test_one_port_for_two_services_is_named(tmp_path: Path) -> None:
    """Two of our own services on one port are named before anything starts, so is a bad address."""
    (tmp_path / "transcripts").mkdir()
    settings = own_settings(tmp_path)
    port = settings["HEALTH_PORT"]
    settings["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    done = start("up", home=tmp_path, cwd=tmp_path, **settings)
    assert done.code == 7, done.err
    assert f"prefect and agent are both to use port {port}" in done.err
    for nonsense in ("nonsense", "http://127.0.0.1:99999/api"):
        settings["PREFECT_API_URL"] = nonsense
        done = start("up", home=tmp_path, cwd=tmp_path, **settings)
        assert done.code == 3, done.err
        assert "PREFECT_API_URL" in done.err


def test_without_prefect_it_says_how_to_get_it(tmp_path: Path) -> None:
    """Where Prefect is not installed that is exit 3 with the command that installs it."""
    hide = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest:"
        " None if name == 'prefect' else find(name, *rest)\n"
        "from analytics.cli.app import run\n"
        "sys.exit(run(['up']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide],
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "make platform" in done.stderr


def test_a_disk_too_small_is_told_before(tmp_path: Path) -> None:
    """With too little space nothing is started, and that is exit 10."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        settings = own_settings(tmp_path) | {"ANNALS_HOME": str(disk / "annals")}
        done = start("up", home=tmp_path, cwd=tmp_path, **settings)
        assert done.code == 10, done.err
        assert "MB are free" in done.err
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_a_killed_supervisor_left_is_ended(tmp_path: Path) -> None:
    """Processes of a supervisor that was killed are recognised and ended; others never are."""
    from annals.settings import load_settings
    from flows.running_services import ServiceState, State, birth_of, folder_of, write_state
    from operations.services.stopping import down

    settings = load_settings(annals_home=tmp_path)
    folder_of(settings).mkdir(parents=True)
    sleeper = ["sleep", "300"]
    ours = subprocess.Popen(sleeper, start_new_session=True)
    another = subprocess.Popen(sleeper, start_new_session=True)
    services = (
        ServiceState("agent", "healthy", "", ours.pid, birth_of(ours.pid)),
        ServiceState("worker", "healthy", "", another.pid, "1"),
    )
    write_state(settings, State(999_999_999, services))
    try:
        import threading

        threading.Thread(target=ours.wait, daemon=True).start()
        assert down(settings, timeout=10) == ["agent"]
        assert ours.wait(10) == -signal.SIGTERM
        assert another.poll() is None
    finally:
        for process in (ours, another):
            process.kill()
            process.wait()


def test_prefects_database_is_kept_when_its_version_changes(tmp_path: Path) -> None:
    """Before another version of Prefect brings its database up to date, a copy is made."""
    import sqlite3

    from annals.settings import load_settings
    from flows.running_services import folder_of
    from operations.services.preflight import keep_old_database
    from operations.services.services import prefect_home

    settings = load_settings(annals_home=tmp_path)
    folder_of(settings).mkdir(parents=True)
    prefect_home(settings).mkdir()
    with contextlib.closing(sqlite3.connect(prefect_home(settings) / "prefect.db")) as database:
        database.execute("create table t (a)")
    (folder_of(settings) / "prefect-version").write_text("3.0.0\n")
    copy = keep_old_database(settings)
    assert copy is not None
    assert copy.name == "prefect.db.of-3.0.0"
    with contextlib.closing(sqlite3.connect(copy)) as database:
        assert database.execute("select name from sqlite_master").fetchall() == [("t",)]
    assert keep_old_database(settings) is None


def test_the_packages_never_load_prefect() -> None:
    """Importing all of `up` loads no Prefect: it starts it."""
    code = "import sys, operations.services.detaching\nprint('prefect' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
