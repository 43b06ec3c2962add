"""Deployments on a real Prefect server, run by a real worker.

The tests share one server and go in their order: the run whose worker is killed first is looked at
last, as Prefect allows no sign of life oftener than every half minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from annals.locks import exclusive, held_by, read_holder
from annals.settings.passing import as_environment
from tests.servers.lakes import FarLake
from tests.servers.prefects import Platform, until
from tests.servers.running import Mongo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIPELINE = "pipeline/pipeline-adhoc"
VALIDATE = "validate/validate-daily"
PATIENT = {"FLOW_RETRIES": "50"}
WAITS = "the pipeline is in use by this test"


@contextmanager
def _pipeline_in_use(platform: Platform) -> Iterator[None]:
    """Hold the lock of the pipeline, so that a run of it waits for its next try."""
    lock = platform.home / "annals" / "pipeline.lock"
    with exclusive(lock, role="this test", what="the pipeline"):
        yield


def _begun_in_vain(platform: Platform, deployment: str) -> str:
    """Ask for a run while the lock is held; return its id when it waits for its next try.

    The worker's own log says so at once; what the server knows of tasks comes later.
    """
    log = platform.worker.log
    before = log.read_text().count(WAITS)
    run_id = platform.begin(deployment, **PATIENT)
    until(lambda: log.read_text().count(WAITS) > before, what="a run that waits for the lock")
    return run_id


@pytest.fixture(scope="session")
def killed(platform: Platform) -> str:
    """Kill a worker while a run is active, start another, and return the run's id."""
    with _pipeline_in_use(platform):
        run_id = _begun_in_vain(platform, VALIDATE)
        beats = {"event": {"name": ["prefect.flow-run.heartbeat"]}}
        until(lambda: platform.post("/events/filter", filter=beats)["events"], what="a heartbeat")
        platform.worker.kill()
    platform.start_worker()
    return run_id


def _scheduled(platform: Platform) -> set[str]:
    """Return the runs that the schedules have made, as soon as there are some."""
    wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}, "tags": {"all_": ["auto-scheduled"]}}

    def look() -> set[str]:
        return {run["id"] for run in platform.post("/flow_runs/filter", flow_runs=wanted)}

    return until(look, what="scheduled runs")


@pytest.fixture(scope="session")
def taken(platform: Platform) -> str:
    """Have a run that some worker took, and did not begin before it died; return the run's id."""
    deployment = platform.get(f"/deployments/name/{VALIDATE}")["id"]
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    run_id: str = platform.post(f"/deployments/{deployment}/create_flow_run", state=later)["id"]
    platform.post(f"/flow_runs/{run_id}/set_state", state={"type": "PENDING"}, force=True)
    return run_id


def test_deploying_again_changes_nothing(platform: Platform) -> None:
    """``make deploy`` says what there is; done twice, there is nothing twice."""
    assert platform.first_deploy.returncode == 0, platform.first_deploy.stderr
    assert "work pool created: annals" in platform.first_deploy.stdout
    runs, ids = _scheduled(platform), platform.ids()
    again = platform.deploy()
    assert again.returncode == 0, again.stderr
    assert runs <= _scheduled(platform), "runs that are scheduled stay so"
    assert ids == platform.ids()
    assert again.stdout == platform.first_deploy.stdout.replace("created", "unchanged")


def test_a_run_leaves_data_artifacts_and_lineage(platform: Platform) -> None:
    """A run takes the sample to a build, and says so in summary, checks, link and assets.

    Its state is its own: at a full hour the scheduled run would build the other one first.
    """
    annals_home = platform.home / "alone"
    place = {"ANNALS_HOME": str(annals_home), "SQLITE_PATH": str(platform.home / "alone.db")}
    state = platform.finish(PIPELINE, **place)
    assert state["name"] == "Completed", state
    assert (annals_home / "published" / "current" / "catalog.duckdb").exists()
    note = json.loads((annals_home / "last-run.json").read_text())
    assert (note["command"], note["outcome"]) == ("pipeline", "ok")
    assert note["counters"]["models_built"] > 0, "`status` and the metrics tell of this run"
    artifacts = {one["key"]: one for one in platform.post("/artifacts/latest/filter")}
    assert {"pipeline-summary", "quality-checks", "dbt-docs"} <= set(artifacts)
    assert all(artifact["description"] for artifact in artifacts.values())
    assert "/artifacts/key/quality-checks" in artifacts["pipeline-summary"]["description"]
    summary = artifacts["pipeline-summary"]["data"]
    for words in ("| sync |", "| publish |", "**Lag:** nothing waits", "**Data quality:** 493"):
        assert words in summary
    verdicts = {
        row["check"]: row["verdict"] for row in json.loads(artifacts["quality-checks"]["data"])
    }
    assert verdicts["ledger"] == verdicts["lag"] == "ok"
    assert set(verdicts) >= {"quarantine", "prices", "responses"}
    assert "127.0.0.1:8686" in artifacts["dbt-docs"]["data"]
    assert _made(platform) == {
        "annals://buffer": {"annals://transcripts"},
        "annals://lake/analytics/conversations": {"annals://buffer"},
        "annals://warehouse/raw": {"annals://lake/analytics/conversations"},
        "annals://warehouse/gold": {"annals://warehouse/raw"},
        "annals://published/current": {"annals://warehouse/gold"},
    }


def _made(platform: Platform) -> dict[str, set[str]]:
    """Return each asset that was made, with those that it was made of."""
    name = "prefect.asset.materialization.succeeded"

    def look() -> dict[str, set[str]]:
        events = platform.post("/events/filter", filter={"event": {"name": [name]}})["events"]
        return {
            event["resource"]["prefect.resource.id"]: {
                related["prefect.resource.id"]
                for related in event["related"]
                if related["prefect.resource.role"] == "asset"
            }
            for event in events
        }

    until(lambda: len(look()) >= 5, what="an event for each asset")
    return look()


@pytest.mark.stack
@pytest.mark.usefixtures("taken", "killed")  # what comes of them takes its time
def test_two_at_once_are_one_completed_and_one_cancelled(platform: Platform) -> None:
    """The second run of a deployment is cancelled; the first goes on when the lock is free."""
    with _pipeline_in_use(platform):
        first = _begun_in_vain(platform, PIPELINE)
        second = platform.begin(PIPELINE)
        assert platform.becomes(second)["name"] == "Cancelled"
    assert platform.becomes(first)["name"] == "Completed"
    run = platform.get(f"/flow_runs/{first}")
    assert run["name"].startswith("pipeline-adhoc: what is new, ")
    assert {"annals", "pipeline"} <= set(run["tags"])
    until(lambda: "entries_new=" in platform.logs(first), what="counters in the run's log")


@pytest.mark.stack
def test_the_backfill_runs_from_its_button(platform: Platform) -> None:
    """The backfill deployment reads all again, rebuilds everything and doubles nothing."""
    run_id = platform.begin("pipeline/pipeline-backfill")
    assert platform.becomes(run_id)["name"] == "Completed"
    assert "full-backfill, full-refresh" in platform.get(f"/flow_runs/{run_id}")["name"]
    until(lambda: "full_refresh=1" in platform.logs(run_id), what="what the run rebuilt")
    (summary,) = platform.post("/artifacts/filter", artifacts=_of(run_id, "pipeline-summary"))
    assert "**Data quality:** 493 entries" in summary["data"]


def _of(run_id: str, key: str) -> dict[str, Any]:
    return {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}


@pytest.mark.stack
def test_a_dependency_that_is_down_is_tried_again_told_and_notified(platform: Platform) -> None:
    """The run ends Failed with our error and its hint, after a retry, and somebody is told."""
    place = {"MONGO_URI": "mongodb://me:hunter2@127.0.0.1:1/", "FLOW_RETRIES": "1"}
    run_id = platform.begin(PIPELINE, **place)
    state = platform.becomes(run_id)
    assert state["name"] == "Failed"
    assert state["message"].startswith("DependencyError: MongoDB (")
    assert "Check that the server runs and can be reached from here" in state["message"]
    until(lambda: _tries(platform, run_id) == {"sync": 1, "ship": 2}, what="two tries")
    (summary,) = platform.post("/artifacts/filter", artifacts=_of(run_id, "pipeline-summary"))
    assert "**Failed:** DependencyError: MongoDB \\(" in summary["data"]
    assert "| sync |" in summary["data"]
    assert "| ship |" not in summary["data"]
    told = until(
        lambda: list(platform.receiver.told("DependencyError", "Check that the server runs")),
        what="a notification",
    )
    assert "Failed" in told[0]["subject"]
    everything = json.dumps([told, state, summary]) + platform.logs(run_id)
    assert "hunter2" not in everything
    assert "hunter2" not in platform.worker.log.read_text()


def _tries(platform: Platform, run_id: str) -> dict[str, int]:
    """Return how often each stage was tried; Prefect knows it a moment after the run's end."""
    tasks = platform.post("/task_runs/filter", flow_runs={"id": {"any_": [run_id]}})
    return {task["name"]: task["run_count"] for task in tasks}


def test_what_a_person_has_to_mend_is_not_tried_again(platform: Platform) -> None:
    """A wrong setting ends the run Failed at the first try."""
    run_id = platform.begin(PIPELINE, MONGO_URI="mongodb://host:port/", **PATIENT)
    state = platform.becomes(run_id)
    assert state["name"] == "Failed"
    assert state["message"].startswith("SettingsError: ")
    until(lambda: _tries(platform, run_id) == {"sync": 1, "ship": 1}, what="one try")


@pytest.mark.stack
def test_a_run_goes_by_way_of_the_server(platform: Platform, mongo: Mongo) -> None:
    """With MONGO_URI set a run ships to MongoDB, extracts from there, and draws that lineage."""
    place = {
        "MONGO_URI": mongo.uri,
        "MONGO_DB": mongo.name,
        "ANNALS_HOME": str(platform.home / "by-server"),
        "SQLITE_PATH": str(platform.home / "by-server.db"),
    }
    state = platform.finish(PIPELINE, **place)
    assert state["name"] == "Completed", state
    assert mongo.conversations.count_documents({}) > 0
    made = until(
        lambda: "annals://mongodb/conversations" in _made(platform), what="the server as an asset"
    )
    assert made


@pytest.mark.stack
def test_a_run_keeps_its_lake_in_an_object_store(platform: Platform, far_lake: FarLake) -> None:
    """With a catalog server a run builds from there; without it, it ends with our error."""
    place = as_environment(far_lake.settings(platform.home / "far"), FLOW_RETRIES="0")
    place.pop("ANNALS_ENV_FILE", None)  # no setting, so that no run may name it
    state = platform.finish(PIPELINE, **place)
    assert state["name"] == "Completed", state
    assert far_lake.files(".parquet")
    lake = f"annals://lake/{far_lake.namespace}/conversations"
    assert until(lambda: lake in _made(platform), what="the lake as an asset")
    away = place | {"ICEBERG_CATALOG_URI": "http://me:hunter2@127.0.0.1:1"}
    failed = platform.finish(PIPELINE, **away)
    assert failed["name"] == "Failed"
    assert failed["message"].startswith("DependencyError: the catalog server of the lake")
    assert "Check ICEBERG_CATALOG_URI" in failed["message"]
    assert "hunter2" not in failed["message"]


def test_the_command_line_is_on_the_record(platform: Platform) -> None:
    """With PREFECT_API_URL set a stage command is a flow run; its output is the same as ever."""
    assert platform.finish(PIPELINE)["name"] == "Completed"  # what the tests before it left
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "pipeline", "--json"],
        env=platform.environment,
        cwd=platform.home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["nothing_new"] is True
    tags = {"tags": {"all_": ["command-line"]}}
    (run,) = platform.post("/flow_runs/filter", flow_runs=tags)
    assert run["state"]["name"] == "Completed"
    assert run["name"].startswith("pipeline by hand")


def test_an_error_of_a_flow_is_the_commands_own(platform: Platform) -> None:
    """As a flow, too, a command ends with the exit code and the hint of its error."""
    done = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "extract", "--prefect"],
        env=platform.environment | {"MONGO_URI": "mongodb://127.0.0.1:1/", "FLOW_RETRIES": "0"},
        cwd=platform.home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "hint: Check that the server runs" in done.stderr


@pytest.mark.stack
def test_silence_while_an_agent_is_at_work_is_notified(platform: Platform) -> None:
    """Where an agent is active and nothing new comes for FRESHNESS_HOURS, somebody is told."""
    lock = platform.home / "buffer.db.lock"
    with exclusive(lock, role="sync run", what="the buffer"):
        assert platform.finish(PIPELINE)["name"] == "Completed"
    told = until(lambda: list(platform.receiver.told("no new data")), what="a notification")
    assert "`annals status`" in told[0]["body"]


@pytest.mark.stack
def test_a_worker_that_is_stopped_ends_its_run(platform: Platform) -> None:
    """Told to stop, a worker lets its run roll back and report, and leaves with exit code 0."""
    with _pipeline_in_use(platform):
        run_id = _begun_in_vain(platform, PIPELINE)
        assert platform.worker.stop() == 0
        state = platform.becomes(run_id)
        assert state["type"] == "CRASHED"
        assert "unexpected" not in state["message"]
    assert "UserWarning" not in platform.worker.log.read_text()
    platform.start_worker()
    assert platform.finish(PIPELINE)["name"] == "Completed"


@pytest.mark.stack
def test_make_runs_a_deployment_and_waits_for_it(platform: Platform) -> None:
    """``make run-pipeline`` and its sisters find the server as every command does."""
    done = platform.make("run-adhoc", "ARGS=--param run_tests=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Completed" in done.stdout


@pytest.mark.stack
def test_a_run_that_was_taken_and_never_begun_is_cleaned_up(platform: Platform, taken: str) -> None:
    """A run without any heartbeat counts as crashed too: nothing waits for it indefinitely."""
    state = platform.becomes(taken)
    assert state["type"] == "CRASHED"
    assert "no sign of life" in state["message"]


@pytest.mark.stack
def test_the_run_of_a_killed_worker_is_cleaned_up(platform: Platform, killed: str) -> None:
    """A run whose worker was killed counts as crashed, and the next one is not kept out."""
    state = platform.becomes(killed)
    assert state["type"] == "CRASHED"
    assert "no sign of life" in state["message"]
    run_id = platform.begin(VALIDATE)
    assert platform.becomes(run_id)["name"] == "Completed"
    (summary,) = platform.post("/artifacts/filter", artifacts=_of(run_id, "pipeline-summary"))
    assert "| validate |" in summary["data"]
    (checks,) = platform.post("/artifacts/filter", artifacts=_of(run_id, "quality-checks"))
    assert {row["verdict"] for row in json.loads(checks["data"])} <= {"ok", "skipped"}


@pytest.mark.stack
def test_a_run_that_hangs_keeps_nobody_out(platform: Platform) -> None:
    """A process that hangs is ended when its run counts as crashed: its lock is for the next."""
    lock = platform.home / "annals" / "pipeline.lock"
    run_id = platform.begin("pipeline/pipeline-backfill")
    pid = until(lambda: _stopped_at_work(lock), what="the process of a run that holds the lock")
    try:
        state = platform.becomes(run_id)
        assert state["type"] == "CRASHED"
        assert "its process is gone, or hangs and is ended" in state["message"]
        until(lambda: held_by(lock) is None, what="the lock, free")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert platform.finish(PIPELINE)["name"] == "Completed"


def _stopped_at_work(lock: Path) -> int | None:
    """Stop the process that holds the lock of the pipeline, unless it lets go of it first."""
    holder = read_holder(lock)
    if holder is None or holder.role != "transform":
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGSTOP)
        now = held_by(lock)
        if now is not None and now.pid == holder.pid:
            return holder.pid
        os.kill(holder.pid, signal.SIGCONT)
    return None
