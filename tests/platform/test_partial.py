"""A worker's run that knows of missing records does not end as a plain success."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers.prefects import Platform, until
from tests.servers.running import Mongo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIPELINE = "pipeline/pipeline-adhoc"
ABSENT = 3


def _place(platform: Platform, mongo: Mongo, buffer: str) -> dict[str, str]:
    return {
        "MONGO_URI": mongo.uri,
        "MONGO_DB": mongo.name,
        "ANNALS_HOME": str(platform.home / "partial" / buffer),
        "SQLITE_PATH": str(platform.home / "partial" / f"{buffer}.db"),
    }


def test_a_run_with_missing_records_is_partial(platform: Platform, mongo: Mongo) -> None:
    """What a server lost and no buffer here has ends the run Partial: state, summary, status."""
    whole = platform.finish(PIPELINE, **_place(platform, mongo, "first"))
    assert whole["name"] == "Completed", whole
    lost = [one["_id"] for one in mongo.conversations.find({}, {"_id": 1}).limit(ABSENT)]
    mongo.conversations.delete_many({"_id": {"$in": lost}})
    place = _place(platform, mongo, "second") | {"CLAUDE_DIR": str(platform.home / "nowhere")}
    run_id = platform.begin(PIPELINE, **place)
    state = platform.becomes(run_id)
    assert (state["name"], state["type"]) == ("Partial", "COMPLETED"), state["message"]
    assert f"MongoDB acknowledged {ABSENT} records" in state["message"]
    assert "annals sync replay" in state["message"]
    asked = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["pipeline-summary"]}}
    (summary,) = platform.post("/artifacts/filter", artifacts=asked)
    assert summary["data"].startswith(f"**Partial:** MongoDB acknowledged {ABSENT} records")
    assert "| publish |" in summary["data"], "what there is was published"
    note: dict[str, Any] = json.loads(
        (platform.home / "partial" / "second" / "last-run.json").read_text()
    )
    assert note["outcome"] == "PartialError"
    assert f"{ABSENT} records" in note["message"]
    told = until(
        lambda: list(platform.receiver.told("Partial", "MongoDB acknowledged")),
        what="a notification",
    )
    assert "Partial" in told[0]["subject"]
