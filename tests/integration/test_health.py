"""``/health``, ``/ready`` and ``/metrics`` of a running agent."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sync_agent.agent.health import ENDPOINTS, MEMBERS
from sync_agent.agent.metrics import METRICS
from tests.conftest import ROOT
from tests.sync_agent.places import CHAT, Place
from tests.sync_agent.running_agents import running, until

LINE = b'{"type":"user","n":1}\n'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty root with a buffer beside it."""
    return Place(tmp_path)


def test_health_has_the_fields_of_the_original_service(place: Place) -> None:
    """H-01 The six fields have the names and types that they always had, whatever is going on."""
    place.write(CHAT, LINE * 3)
    with running(place) as agent:
        until(agent.has(3))
        found = agent.health()
        assert found["status"] == "ok"
        assert found["pending"] == 4  # three entries and what was noted of the file
        assert (found["synced"], found["lastSyncAt"]) == (0, None)
        assert found["mongoConnected"] is False
        assert isinstance(found["uptime"], float)
        assert found["uptime"] > 0
        _acknowledge(place, 3)
        found = agent.health()
        assert (found["pending"], found["synced"]) == (1, 3)
        at = datetime.fromisoformat(found["lastSyncAt"])
        assert at.tzinfo is not None
        assert at.year == 2023


def _acknowledge(place: Place, seq: int) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(place.settings.sqlite_path)) as connection, connection:
        connection.execute(
            "insert into consumers values ('lake', ?, 1700000000000000)",
            (seq,),
        )


def test_health_says_what_happens(place: Place) -> None:
    """H-02 Watchers, the last five events, rates, lag and sizes are told."""
    with running(place) as agent:
        assert agent.health()["watchers"][0]["state"] == "idle"
        for number in range(7):
            place.write(f"-a/{number}.jsonl", LINE)
            until(agent.has(number + 1))
        place.append("-a/6.jsonl", b'{"torn')
        until(lambda: agent.health()["lag"] == {"6.jsonl": 6})
        found = agent.health()
        assert set(found) == set(MEMBERS)
        assert found["watchers"] == [
            {
                "mode": "events",
                "state": "active",
                "filesWatched": 7,
                "queued": 0,
                "foldersPolled": 0,
                "note": "",
            }
        ]
        assert found["filesWatched"] == 7
        assert [each["file"] for each in found["lastEvents"]][-1] == "6.jsonl"
        assert len(found["lastEvents"]) == 5
        assert {each["event"] for each in found["lastEvents"]} == {"discovered", "grown"}
        assert all(datetime.fromisoformat(each["timestamp"]) for each in found["lastEvents"])
        assert found["eventsPerMinute"] >= 8
        assert found["avgProcessingTime"] > 0
        assert found["bufferBytes"] > 0
        assert (found["errors"], found["deadLetters"], found["watchMissedTotal"]) == ({}, 0, 0)


def test_metrics_are_what_prometheus_reads(place: Place) -> None:
    """H-03 Its own parser reads the text, and finds every metric with its kind and value."""
    place.write(CHAT, LINE * 3)
    with running(place) as agent:
        until(agent.has(3))
        families = {
            one.name: one for one in text_string_to_metric_families(agent.get("/metrics")[1])
        }
        for metric in METRICS:
            family = families[metric.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        values = {one.name: one.value for each in families.values() for one in each.samples}
        assert values["component_received_events_total"] == 3
        assert values["component_received_bytes_total"] == len(LINE) * 3
        assert values["component_files_watched"] == 1
        events = families["component_file_events"].samples
        assert [(one.labels, one.value) for one in events] == [({"event": "discovered"}, 1)]


def test_other_requests_are_refused(place: Place) -> None:
    """H-04 An unknown path is 404, another method 501, and the port is open on loopback only."""
    with running(place) as agent:
        assert agent.get("/")[0] == 404
        assert "/health" in agent.get("/nothing")[1]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{agent.port}/health", data=b"x")
        assert caught.value.code == 501
        caught.value.close()
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = {row[1] for row in rows if row[3] == "0A"}
        assert {one for one in listening if one.endswith(f":{agent.port:04X}")} == {
            f"0100007F:{agent.port:04X}"
        }


def test_every_endpoint_member_and_metric_is_documented() -> None:
    """H-05 docs/reference/health.md names each endpoint, member and metric."""
    text = (ROOT / "docs" / "reference" / "health.md").read_text(encoding="utf-8")
    for name in (*ENDPOINTS, *MEMBERS, *(metric.name for metric in METRICS)):
        assert f"| `{name}` |" in text
