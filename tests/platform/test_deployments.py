"""What ``make deploy`` puts on a real Prefect server, what a run may be asked, who is notified."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, get_args

import pytest

from annals.prefect_api import PrefectRefusedError
from annals.settings import Settings
from operations.services.asking import Answer, Heartbeats
from tests.servers.prefects import Platform, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIPELINE = "pipeline/pipeline-adhoc"


def test_what_is_deployed(platform: Platform) -> None:
    """Four deployments with their schedules, one run at a time, and a form."""
    found = {one["name"]: one for one in platform.post("/deployments/filter")}
    schedules = {
        name: [(one["schedule"]["cron"], one["active"]) for one in deployment["schedules"]]
        for name, deployment in found.items()
    }
    assert schedules == {
        "pipeline-adhoc": [],
        "pipeline-backfill": [],
        "pipeline-hourly": [("5 * * * *", True)],
        "validate-daily": [("35 3 * * *", True)],
    }
    for name, one in found.items():
        assert one["global_concurrency_limit"]["limit"] == 1
        assert one["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert {"annals", name.partition("-")[0]} <= set(one["tags"])
        assert "/artifacts/key/pipeline-summary" in one["description"]
        schema = one["parameter_openapi_schema"]
        assert schema["additionalProperties"] is False
        parameters = schema["properties"].values()
        assert parameters
        assert all(parameter["description"] for parameter in parameters)
        assert all(parameter["type"] in ("boolean", "string") for parameter in parameters)
    asked = {"full_backfill": True, "full_refresh": True}
    assert found["pipeline-backfill"]["parameters"] == asked
    hourly = {"deployments": {"name": {"any_": ["pipeline-hourly"]}}}
    until(lambda: platform.post("/flow_runs/filter", **hourly), what="runs on the schedule")


def test_what_watches_over_runs(platform: Platform) -> None:
    """Three automations, of which two notify through the one block; its address is not shown."""
    (block,) = platform.post("/block_documents/filter")
    assert (block["name"], block["block_type"]["slug"]) == ("annals", "custom-webhook")
    assert "secret-path" not in json.dumps(block)
    automations = {one["name"]: one for one in platform.post("/automations/filter")}
    notifying = {
        name: [action.get("block_document_id") for action in one["actions"]]
        for name, one in automations.items()
    }
    assert notifying == {
        "annals: a run failed": [block["id"]],
        "annals: a run is dead": [None],
        "annals: no new data": [block["id"]],
    }
    assert all(one["enabled"] for one in automations.values())


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"nonsense": 1}, "nonsense"), ({"full_backfill": "perhaps"}, "full_backfill")],
    ids=["unknown", "of another type"],
)
def test_a_parameter_that_cannot_be_is_refused(
    platform: Platform, asked: dict[str, Any], named: str
) -> None:
    """The server refuses it by name; past its check, the run ends Failed with what to do."""
    with pytest.raises(PrefectRefusedError) as refused:
        platform.ask(PIPELINE, parameters=asked)
    assert refused.value.status == HTTPStatus.CONFLICT
    assert named in json.loads(refused.value.content)["detail"]
    run_id = platform.ask(PIPELINE, parameters=asked, enforce_parameter_schema=False)
    state = platform.becomes(run_id)
    assert state["name"] == "Failed", state
    assert state["message"].startswith("UsageError: pipeline-adhoc cannot run with")
    assert named in state["message"]
    assert "Its parameters are: source, full_backfill, full_refresh, run_tests" in state["message"]
    until(lambda: state["message"] in platform.logs(run_id), what="the same in the run's log")


def test_a_command_names_the_parameter_that_cannot_be(platform: Platform) -> None:
    """``make run-adhoc`` says which parameter it is and which there are, before anything runs."""
    adhoc = {"deployments": {"name": {"any_": ["pipeline-adhoc"]}}}
    before = platform.post("/flow_runs/count", **adhoc)
    done = platform.make("run-adhoc", "ARGS=--param nonsense=1 --param full_backfill=perhaps")
    assert done.returncode != 0
    assert "there is no `nonsense`" in done.stderr
    assert "`full_backfill`: 'perhaps' is not of type 'boolean'" in done.stderr
    assert "Its parameters are: source, full_backfill" in done.stderr
    assert platform.command("run", PIPELINE, "--param", "nonsense=1").returncode == 2
    wrong = platform.command("run", "pipeline/none")
    assert wrong.returncode == 2
    assert "pipeline/none" in wrong.stderr
    assert "pipeline-adhoc" in wrong.stderr
    assert platform.post("/flow_runs/count", **adhoc) == before


def _apart(platform: Platform, name: str) -> dict[str, str]:
    """Return the variables of a state of its own: other tests are to find the shared one new."""
    place = platform.home / name
    return {"ANNALS_HOME": str(place), "SQLITE_PATH": str(place / "buffer.db")}


def _said(kind: str, body: dict[str, Any]) -> str:
    """Return the words of a message in the form that the service of this kind takes."""
    match body:
        case {"text": str(text), **rest} if kind == "slack" and not rest:
            return text
        case {"attachments": [{"content": {"body": [{"text": head}, {"text": text}]}}]}:
            return f"{head}\n{text}"
    return ""


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_every_kind_of_notification_arrives(platform: Platform, kind: str) -> None:
    """With NOTIFY_WITH set to it, a run that failed posts what that service understands."""
    ids = platform.ids()
    try:
        assert platform.deploy(NOTIFY_WITH=kind).returncode == 0
        assert platform.ids() == ids
        wrong = _apart(platform, kind) | {"MONGO_URI": "mongodb://host:port/"}
        assert platform.finish(PIPELINE, **wrong)["name"] == "Failed"
        words = ("Annals: Failed: pipeline-adhoc", "SettingsError: ")
        until(
            lambda: any(
                all(word in _said(kind, body) for word in words)
                for body in platform.receiver.bodies
            ),
            what="a notification",
        )
    finally:
        assert platform.deploy().returncode == 0


def test_no_kind_of_notification_is_left_out() -> None:
    """Each that the settings offer is delivered: these two here, webhook in test_flows."""
    kinds = get_args(Settings.model_fields["notify_with"].annotation)
    assert set(kinds) == {"none", "webhook", "slack", "teams"}


def test_an_address_that_is_none_is_refused(platform: Platform) -> None:
    """Nothing is deployed that could never be delivered; the address is a secret and not shown."""
    for kind, url in (("slack", "secret-place"), ("webhook", "mailto://secret-place")):
        done = platform.deploy(NOTIFY_WITH=kind, NOTIFY_URL=url)
        assert done.returncode != 0
        assert "NOTIFY_URL: is not an address of a webhook" in done.stderr
        assert "secret-place" not in done.stdout + done.stderr


def test_without_notifications_no_block_is_left(platform: Platform) -> None:
    """NOTIFY_WITH=none takes the block and its address off the server; the runs go on."""
    try:
        assert platform.deploy(NOTIFY_WITH="none").returncode == 0
        assert platform.post("/block_documents/filter") == []
    finally:
        assert platform.deploy().returncode == 0
    assert len(platform.post("/block_documents/filter")) == 1


def test_a_worker_is_told_of_runs(platform: Platform) -> None:
    """A worker that hardly ever looks by itself begins a run at once: the server tells it."""
    platform.worker.stop()
    beats = Heartbeats(platform.api, "told", login=platform.login)
    beats.ask()
    platform.start_worker("told", PREFECT_WORKER_QUERY_SECONDS="100000")
    try:
        until(lambda: beats.ask() is Answer.HEALTHY, what="the worker")
        assert platform.finish(PIPELINE, **_apart(platform, "told"))["name"] == "Completed"
    finally:
        platform.worker.stop()
        platform.start_worker()
