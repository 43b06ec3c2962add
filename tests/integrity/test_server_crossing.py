"""C3 from MongoDB to the lake: documents that a real server changed are found at the crossing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extractors.lake import open_lake
from flows.validation.lake_files import check_lake_files
from tests.conftest import Run
from tests.extractors.lakes import ids
from tests.integrity.shipped import shipped_agent
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent

CHANGES: dict[str, dict[str, Any]] = {
    "bytes": {"raw": '{"type":"user","n":999999}'},
    "one letter": {"raw": None},
    "offset": {"byteOffset": 77},
    "file": {"fileKey": "another.jsonl"},
    "kind": {"recordKind": "file"},
    "position": {"byteLength": -5, "byteOffset": -1},
}


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Return an agent that shipped 12 records; commands have its settings."""
    with shipped_agent(tmp_path, mongo, monkeypatch) as found:
        yield found


def change(mongo: Mongo, seq: int, values: dict[str, Any]) -> None:
    """Change a document on the server as somebody with its password would."""
    if values == {"raw": None}:
        raw = mongo.conversations.find_one({"seq": seq})["raw"]
        values = {"raw": raw[:-2] + "_" + raw[-1]}
    assert mongo.conversations.update_one({"seq": seq}, {"$set": values}).matched_count == 1


def test_changed_documents_are_quarantined_and_the_rest_goes_on(
    agent: Agent, mongo: Mongo, in_process: Run
) -> None:
    """P-19 Each at its position, exit 6 and their places; the cursor passes, once."""
    agent_id = agent.buffer.agent_id
    agent.settings.sqlite_path.rename(agent.settings.sqlite_path.with_name("away"))
    for seq, values in enumerate(CHANGES.values(), 2):
        change(mongo, seq, values)
    done = in_process("extract", "--json")
    assert done.code == 6, done.err
    report = done.data.get("extract", done.data)
    bad = report["records_quarantined"] + report["records_refused"]
    assert (bad, report["entries_new"]) == (len(CHANGES), 12 - len(CHANGES))
    assert len(ids(agent.settings)) == 12
    with open_lake(agent.settings) as lake:
        assert lake.cursor().positions == {agent_id: 12}
        table = lake.table.scan(selected_fields=("seq", "record_kind", "reason")).to_arrow()
    rows = {row["seq"]: row for row in table.to_pylist()}
    for seq in range(2, 2 + len(CHANGES)):
        assert (rows[seq]["record_kind"], bool(rows[seq]["reason"])) == ("quarantine", True)
    again = in_process("extract", "--json")
    assert again.code == 0, again.err
    assert check_lake_files(agent.settings).faults == ()


@pytest.mark.parametrize("name", ["bytes", "one letter", "offset", "file"])
def test_the_buffer_has_the_right_bytes(
    agent: Agent, mongo: Mongo, in_process: Run, name: str
) -> None:
    """If the buffer of this machine still has the record, it is restored from there: exit 0."""
    expected = mongo.ids()
    change(mongo, 4, CHANGES[name])
    done = in_process("extract")
    assert done.code == 0, done.err
    assert set(ids(agent.settings)) == set(expected)


@pytest.mark.parametrize("value", ["12", None, 1e300, -5, [3]])
def test_a_position_that_is_no_number_is_set_again(
    agent: Agent, mongo: Mongo, in_process: Run, value: object
) -> None:
    """A committedSeq of a wrong type ends neither the agent nor its extraction."""
    wrong = {"committedSeq": value, "missingThrough": value, "absent": value}
    mongo.database["agents"].update_one({"_id": agent.buffer.agent_id}, {"$set": wrong})
    agent.restart()
    agent.buffer.append_entries(1)
    agent.ship()
    done = in_process("extract")
    assert done.code == 0, done.err
    assert len(ids(agent.settings)) == 13
