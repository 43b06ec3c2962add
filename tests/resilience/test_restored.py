"""A buffer that was restored from a backup, at a server that knows the one it was copied from."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Run
from tests.servers.running import Mongo

LINE = '{"type":"user","sessionId":"s","uuid":"%s"}\n'


def test_a_restored_buffer_is_recognised_as_a_copy_and_loses_nothing(
    annals: Run, home: Path, mongo: Mongo
) -> None:
    """S-13 The original goes on, the restored copy takes an agent id of its own; all arrives."""
    transcripts = home / "projects" / "-p"
    transcripts.mkdir(parents=True)
    original = {
        "CLAUDE_DIR": str(transcripts.parent),
        "MONGO_URI": mongo.uri,
        "MONGO_DB": mongo.name,
        "ANNALS_HOME": str(home / "one"),
        "SQLITE_PATH": str(home / "one" / "buffer.db"),
    }
    restored = original | {
        "ANNALS_HOME": str(home / "two"),
        "SQLITE_PATH": str(home / "two" / "buffer.db"),
    }
    (transcripts / "s.jsonl").write_text(LINE % 1)
    assert annals("sync", "once", **original).code == 0
    assert annals("sync", "flush", **original).code == 0
    (transcripts / "s.jsonl").write_text(LINE % 1 + LINE % 2)
    assert annals("sync", "once", **(original | {"MONGO_URI": ""})).code == 0  # not shipped yet
    assert annals("backup", "--to", "archive", **original).code == 0
    assert annals("sync", "flush", **original).code == 0
    (transcripts / "s.jsonl").write_text("".join(LINE % number for number in (1, 2, 3)))
    assert annals("sync", "once", **original).code == 0
    assert annals("sync", "flush", **original).code == 0

    assert annals("restore", "archive", **restored).code == 0
    (transcripts / "s.jsonl").write_text("".join(LINE % number for number in (1, 2, 3, 4)))
    for _ in range(2):  # both go on, in turns
        for place in (restored, original):
            assert annals("sync", "once", **place).code == 0
            assert annals("sync", "flush", **place).code == 0
    assert len({one["agentId"] for one in mongo.conversations.find({}, {"agentId": 1})}) <= 2
    kept = mongo.conversations.find({"recordKind": "entry"}, {"uuid": 1})
    assert sorted(one["uuid"] for one in kept) == ["1", "2", "3", "4"]
    extracted = annals("extract", "--json", **restored)
    assert extracted.code == 0, extracted.err
