"""A run of a deployment beside the plain command: what Prefect adds to the same work."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from statistics import median
from typing import Any

from annals.settings import load_settings
from benchmarks.figures import Figure
from benchmarks.live import until
from benchmarks.processes import ROOT
from benchmarks.workspaces import Workspace
from operations.services.services import environment_of

_LINES, _ADDED, _TIMES = 2_000, 1_000, 5
_TRIES = 50
_DEPLOYMENT = "pipeline/pipeline-adhoc"


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run that is completed, in seconds: as its user sees it, and its parts.

    ``waited`` is from asking to its begin, ``worked`` from there to its end.
    """

    seconds: float
    waited: float
    worked: float


def deployed() -> list[Figure]:
    """Measure new lines and nothing new, by the command and by the deployment in turn."""
    space = Workspace.named("deployed")
    space.write("tree", lines=_LINES)
    space.catch_up()
    figures: list[Figure] = []
    with _platform(space) as api:
        _run(api)
        seed = time.time_ns() % 1_000_000
        for name, added in ((f"+{_ADDED:,} lines", _ADDED), ("nothing new", 0)):
            commands, runs = [], []
            for turn in range(_TIMES):
                _grow(space, added, seed + 2 * turn)
                commands.append(space.command("pipeline", "--json").seconds)
                _grow(space, added, seed + 2 * turn + 1)
                runs.append(_run(api))
            figures += _figures(name, commands, runs, is_idle=not added)
    return figures


def _grow(space: Workspace, lines: int, seed: int) -> None:
    if lines:
        space.change("grow", lines=lines, files=10, seed=seed)


def _figures(
    name: str, commands: list[float], runs: list[Run], *, is_idle: bool
) -> Iterator[Figure]:
    """Yield the overhead as the median of the differences, and the work of a warm run."""
    differences = [run.seconds - command for command, run in zip(commands, runs, strict=True)]
    detail = {
        "command_seconds": [round(one, 2) for one in commands],
        "run_seconds": [round(run.seconds, 2) for run in runs],
        "waited_seconds": [round(run.waited, 2) for run in runs],
        "worked_seconds": [round(run.worked, 2) for run in runs],
        "load_average": round(os.getloadavg()[0], 2),
    }
    overhead = round(median(differences), 2)
    yield Figure("deployed", f"{name}: over the command", overhead, "s", 3, detail=detail)
    worked = round(median(run.worked for run in runs), 2)
    yield Figure("deployed", f"{name}: in a warm worker", worked, "s", 3 if is_idle else None)


def _run(api: str) -> Run:
    """Ask for a run and wait for its end."""
    found = _call(f"{api}/deployments/name/{_DEPLOYMENT}")
    started = time.perf_counter()
    made = _call(f"{api}/deployments/{found['id']}/create_flow_run", state={"type": "SCHEDULED"})
    address = f"{api}/flow_runs/{made['id']}"
    until(lambda: _call(address)["state"]["type"] not in _UNFINISHED, every=0.1)
    seconds = time.perf_counter() - started
    ended = _call(address)
    if ended["state"]["type"] != "COMPLETED":
        raise RuntimeError(f"the run ended {ended['state']}")
    asked, began, end = (datetime.fromisoformat(ended[name]) for name in _INSTANTS)
    return Run(seconds, (began - asked).total_seconds(), (end - began).total_seconds())


_UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING")
_INSTANTS = ("created", "start_time", "end_time")


@contextlib.contextmanager
def _platform(space: Workspace) -> Iterator[str]:
    """Run server and worker as ``annals up`` does, deployed to; yield the API's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    settings = load_settings(annals_home=space.state / "annals")
    environment = environment_of(settings, api) | space.environment | {"PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack, (space.folder / "platform.txt").open("w") as told:

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=space.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        start("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        until(lambda: _answers(f"{api}/health"), every=0.2)
        if start("flows.prefect", "deploy").wait():
            raise RuntimeError((space.folder / "platform.txt").read_text()[-2000:])
        start("flows.prefect", "worker")
        yield api


def _answers(url: str) -> bool:
    try:
        return bool(_call(url))
    except OSError:
        return False


def _call(url: str, **body: Any) -> Any:
    """Ask the API; again where it says that it is busy: SQLite is locked at times."""
    request = urllib.request.Request(  # noqa: S310 -- our own server on the loopback
        url,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json"},
    )
    for _ in range(_TRIES):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            time.sleep(0.1)
    raise TimeoutError
