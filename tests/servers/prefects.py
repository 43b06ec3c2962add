"""A Prefect server and a worker of ours: real ones, with a home and a port of their own."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from annals.prefect_api import PrefectApi, PrefectRefusedError
from annals.settings import Settings
from tests.conftest import ROOT, clean_environment
from tests.servers.running import free_port

PATIENCE_SECONDS = 240.0
_LOOK_SECONDS = 0.5

Found = TypeVar("Found")

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def until(look: Callable[[], Found], *, what: str) -> Found:
    """Look again and again until there is something true, and return it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"not seen in {PATIENCE_SECONDS:.0f} seconds: {what}")


def _may_pass(error: OSError) -> bool:
    """Tell whether the server was only busy."""
    if isinstance(error, PrefectRefusedError):
        return error.status == HTTPStatus.SERVICE_UNAVAILABLE
    return isinstance(error, TimeoutError)


class Process:
    """A process with a log, in the environment of the platform."""

    def __init__(self, *arguments: str, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=environment["HOME"],
                stdout=file,
                stderr=file,
                umask=0,  # what they write is private all the same
            )

    def kill(self) -> None:
        """End it as a power failure would."""
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.popen.terminate()
        return self.popen.wait(PATIENCE_SECONDS)


class Platform:
    """The server, a worker, a receiver of notifications, and a home for what flow runs do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.receiver = Receiver()
        port = free_port()
        self.api = f"http://127.0.0.1:{port}/api"
        outside = {name for name in os.environ if name.startswith("PREFECT")}
        self.environment = {
            name: value for name, value in clean_environment(home).items() if name not in outside
        } | {
            "ANNALS_ENVIRONMENT": "made",
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_METRICS_ENABLED": "true",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "ANNALS_HOME": str(home / "annals"),
            "SQLITE_PATH": str(home / "buffer.db"),
            "CLAUDE_DIR": str(home / "transcripts"),
            "FLOW_RETRIES": "10",  # an hourly run may come between, and takes turns
            "FLOW_RETRY_SECONDS": "1",
            "RUN_VARIABLES": ",".join(name.upper() for name in Settings.model_fields),
            "ZOMBIE_SECONDS": "40",
            "FRESHNESS_HOURS": "0.004",
            "NOTIFY_WITH": "webhook",
            "NOTIFY_URL": f"http://127.0.0.1:{self.receiver.port}/secret-path",
        }
        self.server = self._start(
            "-m", "flows.prefect", "server", "--host", "127.0.0.1", "--port", str(port)
        )
        until(self._is_healthy, what="a healthy Prefect server")
        self.first_deploy = self.deploy()
        self.worker = self.start_worker()

    @property
    def login(self) -> str:
        """The login that the server made at its start."""
        return (self.home / "annals" / "prefect" / "login").read_text().strip()

    def close(self) -> None:
        """Stop everything, by its own process id."""
        self.worker.kill()
        self.server.kill()
        self.receiver.close()

    def deploy(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``make deploy`` with these variables."""
        return self.make("deploy", **environment)

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``make`` in the repository, with this very Python, and without what installs."""
        command = ["make", "--no-print-directory", "--assume-old=platform", f"RUN={sys.executable}"]
        return self._run([*command, *words], ROOT, environment)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m flows.prefect`` with these words."""
        return self._run([sys.executable, "-m", "flows.prefect", *words], self.home, {})

    def _run(
        self, command: list[str], folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            umask=0,
        )

    def start_worker(self, *name: str, **environment: str) -> Process:
        """Start a worker with these variables, in the place of the one before."""
        self.worker = self._start("-m", "flows.prefect", "worker", *name, **environment)
        return self.worker

    def begin(self, deployment: str, **environment: str) -> str:
        """Ask for a run of ``flow/deployment`` with these variables; return its id."""
        return self.ask(deployment, job_variables={"env": environment} if environment else {})

    def ask(self, deployment: str, **body: Any) -> str:
        """Ask for a run of ``flow/deployment`` in the words of the API; return its id."""
        found = self.get(f"/deployments/name/{deployment}")
        asked = {"state": {"type": "SCHEDULED"}, **body}
        made: str = self.post(f"/deployments/{found['id']}/create_flow_run", **asked)["id"]
        return made

    def state(self, run_id: str) -> dict[str, Any]:
        """Return the run's state: its type, name and message."""
        found: dict[str, Any] = self.get(f"/flow_runs/{run_id}")["state"]
        return found

    def becomes(self, run_id: str, *kinds: str) -> dict[str, Any]:
        """Wait until the run is in a state of one of these types, or at its end; return it."""

        def look() -> dict[str, Any] | None:
            state = self.state(run_id)
            return state if state["type"] in (*kinds, *ENDED) else None

        return until(look, what=f"run {run_id} in {kinds}; {self.worker.log.read_text()[-2000:]}")

    def finish(self, deployment: str, **environment: str) -> dict[str, Any]:
        """Ask for a run and return the state in which it ended."""
        return self.becomes(self.begin(deployment, **environment))

    def logs(self, run_id: str) -> str:
        """Return the log of a run, as far as the server has it."""
        asked = {"flow_run_id": {"any_": [run_id]}}
        found = self.post("/logs/filter", logs=asked, sort="TIMESTAMP_ASC")
        return "\n".join(line["message"] for line in found)

    def ids(self) -> set[str]:
        """Return the ids of everything that ``make deploy`` puts on the server."""
        kinds = ("deployments", "automations", "block_documents")
        return {one["id"] for kind in kinds for one in self.post(f"/{kind}/filter")}

    def get(self, path: str) -> Any:
        """Ask the server's API."""
        return self.call("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        """Ask the server's API with a body."""
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's API in any way; again where it was only busy."""
        api = PrefectApi(self.api, self.login, seconds=60)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return api.call(method, path, body)
            except OSError as error:  # SQLite is locked at times, as Prefect's clients know, too
                if not _may_pass(error) or time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)

    def _is_healthy(self) -> bool:
        if self.server.popen.poll() is not None:
            raise ChildProcessError(self.server.log.read_text()[-2000:])
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=10) as answer:  # noqa: S310
                return bool(json.load(answer))
        except OSError:
            return False

    def _start(self, *arguments: str, **environment: str) -> Process:
        log = self.home / f"{arguments[2]}.log"
        return Process(*arguments, environment={**self.environment, **environment}, log=log)


class Receiver:
    """An HTTP server that keeps what is sent to it."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        bodies = self.bodies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def told(self, *words: str) -> Iterator[dict[str, Any]]:
        """Yield the notifications that have all these words in them."""
        return (one for one in self.bodies if all(word in json.dumps(one) for word in words))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
