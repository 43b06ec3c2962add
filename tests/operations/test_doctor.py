"""The doctor: each fault that it knows, made here, is found and has a remedy."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from annals.settings import Settings, load_settings
from operations.doctor import Finding, Verdict, examine
from operations.doctor import agent as agent_checks
from operations.doctor.machine import clock, watches
from sync_agent.agent.once import sync_once
from sync_agent.buffer.store import open_buffer
from tests.conftest import Run

LINE = b'{"a":1}\n'
DAY = 86_400 * 1_000_000


@pytest.fixture
def root(home: Path) -> Path:
    """Return a folder of transcripts with one line in it, where Claude Code has it."""
    project = home / ".claude" / "projects" / "-p"
    project.mkdir(parents=True)
    (project / "a.jsonl").write_bytes(LINE)
    return project.parent


def _settings(**values: Any) -> Settings:
    return load_settings(**values)


def _found(settings: Settings) -> dict[str, Finding]:
    return {one.check: one for one in examine(settings)}


def _set_time(settings: Settings, microseconds: int) -> None:
    with open_buffer(settings.sqlite_path) as buffer:
        buffer.connection.execute("update records set ingested_at = ?", (microseconds,))


def test_a_new_machine_has_no_fault(root: Path) -> None:
    """Before the first sync nothing fails; anyone who reads by hand is told about services."""
    found = _found(_settings())
    assert {name for name, one in found.items() if one.verdict is Verdict.FAIL} == set()
    warned = {name for name, one in found.items() if one.verdict is Verdict.WARN}
    assert warned == {"retention", "agent", "service"}


def test_whatever_is_not_well_has_a_remedy(root: Path) -> None:
    """Every finding that is not ok says what to do, and no other does."""
    for one in examine(_settings(claude_dir=root / "gone")):
        assert bool(one.remedy) is (one.verdict is not Verdict.OK)


def test_a_missing_folder_is_found(root: Path) -> None:
    """Without its folder the check of the transcripts fails and names the setting."""
    one = _found(_settings(claude_dir=root / "gone"))["transcripts"]
    assert one.verdict is Verdict.FAIL
    assert "CLAUDE_DIR" in (one.remedy or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_counted(root: Path) -> None:
    """A file without the right to read it fails the check of the transcripts."""
    (root / "-p" / "a.jsonl").chmod(0)
    assert _found(_settings())["transcripts"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("text", "age", "verdict"),
    [
        (None, 1, Verdict.OK),
        (None, 16, Verdict.WARN),
        ('{"cleanupPeriodDays": 3650}', 16, Verdict.OK),
        ('{"cleanupPeriodDays": 0}', 1, Verdict.WARN),
        ("[", 1, Verdict.WARN),
    ],
)
def test_transcripts_are_read_before_they_are_deleted(
    root: Path, text: str | None, age: int, verdict: Verdict
) -> None:
    """Half of Claude Code's period without a reading is a warning that names its settings."""
    if text is not None:
        (root.parent / "settings.json").write_text(text)
    last_read = time.time_ns() // 1000 - age * DAY
    (one,) = agent_checks.retention(root, last_read)
    assert one.verdict is verdict
    assert verdict is Verdict.OK or "settings.json" in (one.remedy or "")


def test_too_few_watches_are_found(root: Path, tmp_path: Path) -> None:
    """Where the kernel allows fewer watches than there are folders, the remedy raises them."""
    for name, number in (("watches", 2), ("instances", 128)):
        (tmp_path / f"max_user_{name}").write_text(f"{number}\n")
    (one,) = watches(root, tmp_path)
    assert one.verdict is Verdict.WARN
    assert "fs.inotify.max_user_watches=" in (one.remedy or "")
    assert watches(root, tmp_path / "none")[0].verdict is Verdict.OK


def test_a_corrupt_buffer_is_found(root: Path) -> None:
    """Bytes that are not database fail the buffer's check; the remedy heals it."""
    settings = _settings()
    sync_once(settings)
    assert _found(settings)["buffer"].verdict is Verdict.OK
    settings.sqlite_path.write_bytes(b"no database at all" * 1000)
    one = _found(settings)["buffer"]
    assert one.verdict is Verdict.FAIL
    assert "annals sync once" in (one.remedy or "")
    sync_once(settings)
    assert _found(settings)["buffer"].verdict is Verdict.OK


def test_another_programs_file_is_found(root: Path) -> None:
    """An SQLite file of somebody else at SQLITE_PATH fails the check and stays untouched."""
    settings = _settings()
    settings.sqlite_path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as connection:
        connection.execute("create table theirs (x)")
    assert "another program" in _found(settings)["buffer"].says


def test_dead_letters_and_old_records_are_found(root: Path) -> None:
    """What the server refused, and what has waited for more than a day, is reported."""
    settings = _settings(mongo_uri="mongodb://127.0.0.1:1/")
    sync_once(settings)
    now = agent_checks.standing(settings)
    assert not isinstance(now, Finding)
    assert {one.check for one in agent_checks.agent(now, ships=True)} == {"agent"}
    _set_time(settings, time.time_ns() // 1000 - 2 * DAY)
    with open_buffer(settings.sqlite_path) as buffer:
        buffer.connection.execute(
            "insert into dead_letters (entry_id, record_kind, location_id, file_generation,"
            " byte_offset, byte_length, ingested_at, raw, seq, server_reason, refused_at)"
            " values (x'00', 'entry', 1, 0, 0, 1, 1, x'00', 1, 'too large', 1)"
        )
    now = agent_checks.standing(settings)
    assert not isinstance(now, Finding)
    found = {one.check: one.remedy or "" for one in agent_checks.agent(now, ships=True)}
    assert "sync quarantine list" in found["dead letters"]
    assert "sync flush" in found["shipping"]


def test_a_clock_that_went_back_is_found() -> None:
    """Records of a later hour than now, or a year before Annals, cannot be right."""
    assert clock(None)[0].verdict is Verdict.OK
    assert clock(time.time_ns() // 1000 + DAY)[0].verdict is Verdict.WARN


def test_a_warehouse_without_a_lake_is_found(root: Path) -> None:
    """The lake is the root of the warehouse: without it something is gone."""
    settings = _settings()
    assert _found(settings)["lake"].verdict is Verdict.OK
    settings.warehouse_file.parent.mkdir(parents=True)
    settings.warehouse_file.touch()
    assert _found(settings)["lake"].verdict is Verdict.FAIL


def test_a_server_that_does_not_answer_is_found(root: Path) -> None:
    """If nobody listens at MONGO_URI the check fails, and shows no password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"mongodb://me:hunter2@127.0.0.1:{port}/?serverSelectionTimeoutMS=200"
    one = _found(_settings(mongo_uri=uri))["mongodb"]
    assert one.verdict is Verdict.FAIL
    assert "hunter2" not in one.says + (one.remedy or "")


def test_an_installed_service_is_seen(root: Path, home: Path) -> None:
    """A unit that is there and not enabled is a warning; a file of pm2 is as good as enabled."""
    path = home / ".config" / "annals" / "ecosystem.config.js"
    path.parent.mkdir(parents=True)
    path.touch()
    (one,) = agent_checks.service(home)
    assert (one.verdict, str(path) in one.says) == (Verdict.OK, True)


def test_the_command_tells_all_and_its_exit_code_counts(in_process: Run, root: Path) -> None:
    """Warnings alone are exit 0, a failure is 5, wrong settings are 3; --json has each finding."""
    done = in_process("doctor")
    assert done.code == 0
    assert "\n" + " " * 20 + "-> " in done.out
    told = in_process("--set", f"CLAUDE_DIR={root}/gone", "doctor", "--json")
    assert told.code == 5
    failed = [one for one in told.data["findings"] if one["verdict"] == "fail"]
    assert [one["check"] for one in failed] == ["transcripts"]
    assert told.data["counts"]["fail"] == 1
    assert in_process("--set", "BATCH_SIZE=none", "doctor").code == 3
    assert json.dumps(told.data)
