"""What was read of a grown file is compared with the file again."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.agent.requests import queue_rereads
from sync_agent.buffer.store import open_buffer
from sync_agent.reading.rereads import queued_paths
from sync_agent.upkeep import verifier
from tests.sync_agent.places import CHAT, Place, assert_balanced, stamp
from tests.sync_agent.running_agents import running, until
from tests.sync_agent.test_rounds import reading

OTHER = "-b/2.jsonl"


def lines(count: int, mark: str = "x") -> bytes:
    """Return lines of about 1 kB."""
    texts = (json.dumps({"type": "user", "n": n, "text": mark * 1000}) for n in range(count))
    return b"".join(text.encode() + b"\n" for text in texts)


def overwrite(place: Place, name: str, at: int, data: bytes) -> None:
    """Overwrite bytes in the middle of a file."""
    path = place.root / name
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    stamp(path)


def verdicts(place: Place) -> list[Any]:
    """Return (offset, is_due) of each file that has grown."""
    return place.query("select offset, is_due from verified order by file_id")


def test_a_change_behind_the_tail_is_read_by_the_same_sync(place: Place) -> None:
    """R-42 A masked secret in the middle of a file that then grew comes into the buffer."""
    place.write(CHAT, lines(40))
    place.sync()
    overwrite(place, CHAT, 20_500, b"**********")
    place.append(CHAT, lines(1, "y"))
    report = place.sync()
    assert (report.files_changed, report.bytes_verified > 40_000) == (1, True)
    assert "changed behind its tail" in report.warnings[-1]
    assert any(b"**********" in raw for raw in place.lines())
    assert place.events() == ["discovered", "grown", "replaced"]
    assert_balanced(place.custody())
    assert place.query("select * from rereads") == []
    quiet = place.sync()
    assert (quiet.bytes_read, quiet.bytes_verified, quiet.entries_new) == (0, 0, 0)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_change_before_the_position_is_found(data: st.DataObject) -> None:
    """R-42 Whatever byte changes between any two growths, the next sync has the file as it is."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.write(CHAT, lines(12))
        place.sync()
        for _ in range(data.draw(st.integers(1, 3))):
            size = (place.root / CHAT).stat().st_size
            for _ in range(data.draw(st.integers(0, 2))):
                at = data.draw(st.integers(0, size - 1))
                overwrite(place, CHAT, at, data.draw(st.sampled_from([b"*", b"\n", b'"', b"}"])))
            place.append(CHAT, lines(data.draw(st.integers(1, 3)), "z"))
            place.sync()
            kept = place.query(
                "select byte_offset, raw from records join files using (location_id)"
                " where file_generation = generation and record_kind <> 'file'"
            )
            now = (place.root / CHAT).read_bytes()
            assert all(now[at : at + len(raw)] == raw for at, raw in kept)
            assert_balanced(place.custody())


def test_a_growth_without_a_change_costs_one_pass_and_no_records(place: Place) -> None:
    """R-42 The first pass parses what was read; the next one hashes it, and reads on from there."""
    place.write(CHAT, lines(40))
    place.sync()
    for count in (1, 2):
        place.append(CHAT, lines(1, "y"))
        report = place.sync()
        size = (place.root / CHAT).stat().st_size
        assert (report.bytes_verified, report.entries_new) == (size, 1)
        assert verdicts(place) == [(size, 0)], count
    assert place.events() == ["discovered", "grown", "grown"]


def test_a_file_that_did_not_grow_is_not_verified(place: Place) -> None:
    """R-42 Only growth makes a file due; what is read for the first time is not read twice."""
    place.write(CHAT, lines(3))
    assert place.sync().bytes_verified == 0
    stamp(place.root / CHAT)
    assert place.sync().bytes_verified == 0
    assert verdicts(place) == []


def test_the_least_recently_verified_file_comes_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-42 A budget that holds one file reaches every file, one run after the other."""
    monkeypatch.setattr(verifier, "RUN_BYTES", 1)
    names = [f"-a/{number}.jsonl" for number in range(3)]
    for name in names:
        place.write(name, lines(12))
    place.sync()
    for name in names:
        overwrite(place, name, 6_000, b"***")
        place.append(name, lines(1, "y"))
    assert [place.sync().files_changed for _ in range(4)] == [1, 1, 1, 0]


def test_a_buffer_of_an_older_program_is_verified_once(place: Place) -> None:
    """R-42 What an older program read may have changed since: all of it is due once."""
    place.write(CHAT, lines(40))
    place.sync()
    with contextlib.closing(sqlite3.connect(place.settings.sqlite_path)) as connection:
        connection.executescript(
            "drop table verified; drop table rereads; delete from meta where key = 'verifies'"
        )
    before = (place.root / CHAT).stat()
    overwrite(place, CHAT, 20_500, b"**********")
    os.utime(place.root / CHAT, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place.sync().files_changed == 1
    assert place.sync().bytes_verified == 0


def test_a_file_that_is_queued_is_read_as_a_new_generation(place: Place) -> None:
    """R-43 A re-read that is asked for gives equal ids in a new generation, once."""
    place.write(CHAT, lines(3))
    place.write(OTHER, lines(2))
    place.sync()
    before = {entry.entry_id for entry in place.kept("entry")}
    answer = queue_rereads(place.settings, [CHAT, "nowhere.jsonl"], reason="asked")
    assert answer.queued == (str(place.root / CHAT),)
    assert answer.unknown == ("nowhere.jsonl",)
    assert place.sync().entries_new == 3
    assert {entry.entry_id for entry in place.kept("entry")} == before
    assert place.events()[-1] == "replaced"
    assert place.sync().entries_new == 0


def test_a_queued_file_that_is_gone_is_forgotten(place: Place) -> None:
    """R-43 What was deleted at the source waits for nothing; nothing that was read is lost."""
    path = place.write(CHAT, lines(3))
    place.sync()
    queue_rereads(place.settings, [str(path)], reason="asked")
    path.unlink()
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        assert queued_paths(buffer.connection) == set()
    assert len(place.lines()) == 3


def test_the_agent_finds_a_change_behind_the_tail(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-42 W-22 The running agent verifies in the background and reads what it finds changed."""
    monkeypatch.setattr(verifier, "_LOOK_SECONDS", 0.1)
    place.write(CHAT, lines(40))
    with reading(place) as activity:
        overwrite(place, CHAT, 20_500, b"**********")
        place.append(CHAT, lines(1, "y"))
        until(lambda: any(b"**********" in raw for raw in place.lines()))
        until(lambda: activity.bytes_verified >= 40_000)
        until(lambda: place.query("select 1 from rereads") == [])
    assert activity.errors == {}
    assert_balanced(place.custody())


def test_the_agent_reads_again_what_was_queued_before_its_start(place: Place) -> None:
    """R-43 A file that is queued while no agent runs is read by the next one."""
    place.write(CHAT, lines(3))
    place.sync()
    queue_rereads(place.settings, [CHAT], reason="asked")
    with reading(place) as activity:
        until(lambda: "replaced" in place.events())
        until(lambda: place.query("select 1 from rereads") == [])
    assert activity.errors == {}


def test_a_live_agent_reads_again_what_a_command_queues(place: Place) -> None:
    """R-43 A request to the agent that holds the buffer queues the file, and it is read at once."""
    place.write(CHAT, lines(3))
    with running(place) as agent:
        until(agent.has(3))
        answer = queue_rereads(place.settings, [CHAT], reason="asked")
        assert answer.queued == (str(place.root / CHAT),)
        until(agent.has(6))
        assert "component_verified_bytes_total 0" in agent.get("/metrics")[1]
