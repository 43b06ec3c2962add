"""A canary in each secret setting of worker, deploy and command: the server never gets it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from annals.prefect_api import PrefectRefusedError
from tests.cli.test_canaries import variables
from tests.conftest import ROOT
from tests.servers.prefects import Platform, until
from tests.servers.running import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CANARY = "Cnry"
PIPELINE = "pipeline/pipeline-adhoc"
KEPT = ("iceberg_catalog_uri", "prefect_api_url", "prefect_login", "s3_endpoint")
"""Settings that would keep the run from coming to its stages."""

ASKED = (
    *("artifacts", "automations", "block_documents", "block_types", "deployments", "flow_runs"),
    *("flows", "logs", "task_runs", "variables", "work_pools", "work_queues", "flow_run_states"),
)

DEFECT = """
import sys
from annals.settings import load_settings
from annals.telemetry import NO_PROGRESS
from flows import stages
from flows.prefect.reaching import reach
settings = load_settings()
reach(settings)
def broken(*_, **__):
    raise ValueError(f"a library says: {settings.mongo_uri.get_secret_value()} \\x1b[31m\\u202e<b>")
stages.STAGES["load"] = broken
from flows.prefect import tracked
tracked.run_stage("load", settings, progress=NO_PROGRESS)
"""
"""A defect: an error of a library, which nobody expects, in a task."""


@dataclass
class Processes:
    """What /proc shows of the processes below this one, looked at again and again."""

    commands: set[str] = field(default_factory=set)
    with_canary: set[str] = field(default_factory=set)
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until it is over."""
        while not self.is_over.is_set():
            for pid in _below(os.getpid()):
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                    words = " ".join(command.split("\0"))
                    self.commands.add(words)
                    if CANARY.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                        self.with_canary.add(words)
            time.sleep(0.1)


def _below(top: int) -> Iterator[int]:
    for task in Path(f"/proc/{top}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                yield int(child)
                with contextlib.suppress(OSError):
                    yield from _below(int(child))


def _texts(platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield everything that the server answers, and everything that it and the worker wrote."""
    for kind in ASKED:
        for start in range(0, 1_000, 200):
            body = {"limit": 200, "offset": start}
            with contextlib.suppress(PrefectRefusedError):
                found = platform.post(f"/{kind}/filter", **body)
                yield kind, json.dumps(found)
                if len(found) < 200:
                    break
    yield "events", json.dumps(platform.post("/events/filter"))
    for log in platform.home.glob("*.log"):
        yield log.name, log.read_text(errors="replace")


def _canaries() -> dict[str, str]:
    found = variables(f"127.0.0.1:{free_port()}", *KEPT)
    link = found["DBT_DOCS_URL"]  # people follow it, so its path has to be shown
    changes = {"DBT_DOCS_URL": re.sub("[^/]+(?=[?])", "docs", link), "NOTIFY_WITH": "slack"}
    return found | changes | {"FLOW_RETRIES": "0"}


def _deploy(platform: Platform, **changes: str) -> None:
    until(lambda: platform.deploy(**changes).returncode == 0, what="a deployment")


def _commands(
    platform: Platform, canaries: dict[str, str]
) -> list[subprocess.CompletedProcess[str]]:
    """Run a stage command on the record of the server, and one that ends by a defect."""
    commands = (
        ("-m", "analytics.cli", "extract", "--prefect"),
        ("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{DEFECT}"),
    )
    return [
        subprocess.run(
            [sys.executable, *words],
            env=platform.environment | canaries,
            cwd=platform.home,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        for words in commands
    ]


@pytest.fixture
def seen(platform: Platform) -> Iterator[Processes]:
    """Watch processes meanwhile, and put the platform back afterwards."""
    found = Processes()
    watcher = threading.Thread(target=found.watch, daemon=True)
    watcher.start()
    yield found
    found.is_over.set()
    watcher.join()
    platform.worker.stop()
    platform.start_worker()
    _deploy(platform)


def test_the_server_gets_no_canary(platform: Platform, seen: Processes) -> None:
    """Runs that fail at a server that is away, and by a defect; states, logs, blocks, database."""
    canaries = _canaries()
    platform.worker.stop()
    _deploy(platform, **canaries)
    platform.start_worker(**canaries)
    state = platform.becomes(platform.ask(PIPELINE))
    done = _commands(platform, canaries)
    assert (state["name"], done[0].returncode) == ("Failed", 4), (state, done[0].stderr)
    assert CANARY not in done[0].stdout + done[0].stderr
    texts = dict(_texts(platform))
    assert "a library says" in texts["task_runs"] + texts["events"]
    for name, text in texts.items():
        assert CANARY not in text, name
        assert "\\u001b[31m" not in text, name
    for path in (platform.home / "prefect").rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    assert len(seen.commands) > 3
    assert not [words for words in seen.commands if CANARY in words]
    _require_few(seen.with_canary)


def _require_few(with_canary: set[str]) -> None:
    """Only those whose settings they are have canaries in their environment, and not the server."""
    ours = ("flows.prefect", "multiprocessing", "analytics.cli", "import sys")
    told = [words for words in with_canary if words.startswith(sys.executable)]
    assert all(any(one in words for one in ours) for words in told), told
    assert not [words for words in told if "flows.prefect server" in words]


def test_nothing_of_the_platform_is_open_to_others(platform: Platform) -> None:
    """Server, worker, deploy and runs were started under umask 000."""
    found = {
        str(path): oct(path.stat().st_mode)
        for folder in ("annals", "prefect")
        for path in (platform.home / folder).rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    }
    assert found == {}
