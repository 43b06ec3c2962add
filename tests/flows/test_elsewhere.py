"""A pipeline on one machine, the agent on another: what the worker of the stack does."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.generator import write_sample
from tests.conftest import Run
from tests.servers.running import Mongo


@pytest.mark.slow
def test_a_pipeline_leaves_reading_to_an_agent_elsewhere(
    annals: Run, home: Path, mongo: Mongo
) -> None:
    """With READS_TRANSCRIPTS=false it reads and ships nothing, and builds what MongoDB has."""
    write_sample(home / "transcripts")
    server = {"MONGO_URI": mongo.uri, "MONGO_DB": mongo.name}
    worker = {
        **server,
        "READS_TRANSCRIPTS": "false",
        "CLAUDE_DIR": str(home / "transcripts"),
        "ANNALS_HOME": str(home / "worker"),
        "SQLITE_PATH": str(home / "worker" / "buffer.db"),
    }
    before = annals("pipeline", "--json", **worker)
    assert before.code == 0, before.err
    assert "reading is left to an agent elsewhere (READS_TRANSCRIPTS is false)" in before.err
    assert mongo.ids() == set()
    agent = {**server, "CLAUDE_DIR": str(home / "transcripts"), "ANNALS_HOME": str(home / "agent")}
    shipped = annals("pipeline", "--json", **agent)
    assert shipped.code == 0, shipped.err
    after = annals("pipeline", "--json", **worker)
    assert after.code == 0, after.err
    counters = after.data["counters"]
    assert counters["records_shipped"] == counters["entries_new"] == 0
    assert counters["records_extracted"] == shipped.data["counters"]["records_extracted"] > 0
    assert not (home / "worker" / "buffer.db").exists()
    days = [annals("usage", "daily", "--json", **place).data["daily"] for place in (agent, worker)]
    assert days[0] == days[1]
    assert annals("validate", "--json", **worker).code == 0
    assert annals("status", "--json", **worker).code == 0
