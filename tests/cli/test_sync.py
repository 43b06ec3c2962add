"""The commands of the sync agent, as a person and as a program sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annals.buffer.schema import RECORD_COLUMNS
from sync_agent.buffer.store import open_buffer
from tests.conftest import Run, clean_environment

SESSION = "11111111-0000-4000-8000-000000000000"
LINE = b'{"type":"user","timestamp":"2026-01-02T00:00:00Z"}\n'
BROKEN = b"bro\x1b[31mken"


@pytest.fixture
def buffer(home: Path, in_process: Run) -> Path:
    """Return a buffer with two entries, a broken line and a dead letter, half of it shipped."""
    path = home / ".claude" / "projects" / "-p" / f"{SESSION}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(LINE + BROKEN + b"\n" + LINE)
    assert in_process("sync", "once").code == 0
    database = home / ".claude-sync" / "buffer.db"
    with open_buffer(database) as opened:
        opened.connection.execute("insert into consumers values ('lake', 2, 1700000000000000)")
        opened.connection.execute(
            f"insert into dead_letters ({RECORD_COLUMNS}, seq, server_reason, refused_at)"
            f" select {RECORD_COLUMNS}, seq, 'too large', 5 from records where seq = 1"
        )
    return database


def test_status_for_people_and_programs(in_process: Run, buffer: Path) -> None:
    """Both forms have the same figures; times are ISO 8601."""
    now = in_process("sync", "status", "--json").data["sync"]
    assert (now["state"], now["pending"], now["synced"], now["dead_letters"]) == (
        "stopped",
        2,
        2,
        1,
    )
    assert now["last_sync_at"] == "2023-11-14T22:13:20.000Z"
    assert now["consumers"][0]["waiting"] == 2
    told = in_process("sync", "status").out
    for part in ("stopped", "2 records, the oldest", "lake waits for 2", "1 dead letters"):
        assert part in told
    assert "none yet" in in_process("--set", "SQLITE_PATH=/nowhere/b.db", "sync", "status").out


def test_the_log_for_people_and_programs(in_process: Run, buffer: Path, home: Path) -> None:
    """The table names files without their folder, the JSON has the whole path."""
    (row,) = in_process("sync", "log", "--json").data["log"]
    assert (row["event"], row["count"]) == ("read", 2)
    assert row["path"].startswith(str(home))
    table = in_process("sync", "log").out
    assert f"{SESSION}.jsonl" in table
    assert str(home) not in table
    assert in_process("sync", "log", "--since", "29990101").out == "nothing is logged\n"
    today = datetime.now(UTC).strftime("%Y%m%d")
    assert len(in_process("sync", "log", "--since", today, "--json").data["log"]) == 1


def test_quarantine_is_listed_shown_and_retried(in_process: Run, buffer: Path, home: Path) -> None:
    """Names from the list work in show and retry; nothing shown can drive a terminal."""
    held = in_process("sync", "quarantine", "list", "--json").data["held"]
    assert [(one["name"], one["reason"]) for one in held] == [
        ("q2", "not_json"),
        ("d1", "too large"),
    ]
    table = in_process("sync", "quarantine", "list").out
    assert "q2" in table
    shown = in_process("sync", "quarantine", "show", "q2").out
    assert "bro?[31mken" in shown
    assert "\x1b" not in shown
    begins = in_process("sync", "quarantine", "show", "q2", "--json").data["held"]["begins"]
    assert begins == BROKEN.decode()
    raw = subprocess.run(
        [sys.executable, "-m", "analytics.cli", "sync", "quarantine", "show", "q2", "--raw"],
        env=clean_environment(home),
        cwd=home,
        capture_output=True,
        check=True,
    )
    assert raw.stdout == BROKEN
    done = in_process("sync", "quarantine", "retry", "d1", "q2", "--json").data["retried"]
    assert [one["entries"] for one in done] == [1, 0]
    assert "still no entry" in in_process("sync", "quarantine", "retry", "--all").out
    assert in_process("sync", "quarantine", "show", "d1").code == 2
    assert in_process("sync", "quarantine", "retry").code == 2
    assert in_process("sync", "quarantine", "retry", "q2", "--all").code == 2


def test_replay_says_how_many(in_process: Run, buffer: Path) -> None:
    """What was shipped travels again, what was not waits already; both are counted."""
    done = in_process("sync", "replay", "--session", SESSION, "--json").data["replay"]
    assert (done["requeued"], done["waiting"]) == (2, 2)
    told = in_process("sync", "replay", "--since", "20260103").out
    assert told.startswith("0 records travel again")


def test_flush_without_a_server_says_so(in_process: Run, buffer: Path) -> None:
    """In embedded mode there is nothing to ship to; that is not a failure."""
    done = in_process("sync", "flush")
    assert done.code == 0
    assert "MONGO_URI is not set" in done.out
    assert in_process("sync", "flush", "--json").data["flush"]["by"] == "nobody"


def test_reading_commands_change_nothing(in_process: Run, buffer: Path) -> None:
    """Status, log and the list leave the buffer as it is."""
    before = buffer.read_bytes()
    for command in ("sync status", "sync log", "sync quarantine list", "doctor"):
        assert in_process(*command.split(), "--json").code == 0
    assert buffer.read_bytes() == before
    assert json.dumps(in_process("doctor", "--json").data)
