"""Buffers of a version with fewer columns: read as they are, added to when the agent opens them."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from annals.buffer.faults import damaged
from annals.buffer.schema import table_columns
from annals.records import Record
from annals.settings import load_settings
from extractors.local import LocalSource
from sync_agent.buffer.salvage import replace_damaged
from sync_agent.buffer.store import LARGE_BYTES, connect, open_buffer
from sync_agent.buffer.tables import add_tables
from sync_agent.shipping.outbox import Refusal, open_outbox
from sync_agent.upkeep.quarantine import retry
from tests.extractors.buffers import Buffer
from tests.sync_agent.older import NEW, older_buffer
from tests.sync_agent.places import CHAT, Place, assert_balanced


@pytest.fixture
def older(tmp_path: Path) -> Buffer:
    """Return a buffer of an older program with three records."""
    buffer = older_buffer(tmp_path / "sync" / "buffer.db")
    buffer.append_entries(3)
    return buffer


def columns(buffer: Buffer, table: str = "records") -> frozenset[str]:
    """Return the columns that a table of the buffer has."""
    with closing(sqlite3.connect(buffer.path)) as connection:
        return table_columns(connection, table)


def read(buffer: Buffer) -> list[Record]:
    """Return all records, as an extractor reads them."""
    batches = LocalSource(buffer.path).read(buffer.agent_id, after=0, through=1 << 40)
    return [record for batch in batches for record in batch]


def test_an_older_buffer_is_read_as_it_is(older: Buffer) -> None:
    """RC-03 A reading program finds the defaults, and changes nothing in the file."""
    found = {(one.agent_kind, one.stored_hash, one.redaction) for one in read(older)}
    assert found == {("claude_code", None, None)}
    assert not columns(older) & NEW


def test_opening_adds_the_columns(older: Buffer) -> None:
    """RC-03 The agent adds the columns to records and dead letters; every record stays."""
    before = read(older)
    with open_buffer(older.path):
        pass
    assert columns(older) >= NEW
    assert columns(older, "dead_letters") >= NEW
    assert read(older) == before


def test_programs_may_open_it_at_once(older: Buffer) -> None:
    """RC-03 Of threads that add the columns at the same time, each finds them there."""

    def add(_: int) -> frozenset[str]:
        with closing(connect(older.path)) as connection:
            add_tables(connection)
            return table_columns(connection, "records")

    with ThreadPoolExecutor(8) as pool:
        assert all(found >= NEW for found in pool.map(add, range(8)))


def test_an_older_program_goes_on_writing(older: Buffer) -> None:
    """RC-05 What a program of the older version writes beside the new one reads as the defaults."""
    with open_buffer(older.path):
        pass
    older.append_entries(2)
    assert [one.agent_kind for one in read(older)] == ["claude_code"] * 5


def test_a_sync_goes_on_with_it(tmp_path: Path) -> None:
    """RC-03 The next sync reads on into an older buffer, long records as well."""
    place = Place(tmp_path)
    older = older_buffer(place.settings.sqlite_path)
    before = older.append_entries(2)
    long = b'{"type":"user","x":"%s"}' % (b"x" * (LARGE_BYTES + 1))
    place.write(CHAT, b'{"type":"user"}\n' + long + b"\n")
    assert place.sync().entries_new == 2
    assert [one.raw for one in read(older)[2:] if one.record_kind == "entry"][-1] == long
    assert [one.entry_id for one in read(older)[:2]] == before
    assert_balanced(place.custody())


def test_values_survive_dead_letters(older: Buffer) -> None:
    """RC-01 A record that was refused and retried has all values that it had."""
    with open_buffer(older.path):
        pass
    older.execute("update records set agent_kind = 'codex', stored_hash = 'h', redaction = 'r'")
    before = read(older)
    with open_outbox(older.path) as outbox:
        shipped = outbox.batch(older.agent_id, after=0, rows=10, size=1 << 20).records
        assert [tuple(one) for one in shipped] == [tuple(one) for one in before]
        outbox.move_to_dead_letters(older.agent_id, [Refusal(2, "refused")])
    settings = load_settings(sqlite_path=older.path)
    with open_buffer(older.path) as buffer:
        assert [one.entries for one in retry(buffer, settings, [])] == [1]
    again = {one.entry_id: one._replace(seq=0) for one in read(older)}
    assert again == {one.entry_id: one._replace(seq=0) for one in before}


def test_a_damaged_older_buffer_is_salvaged(older: Buffer) -> None:
    """RC-03 Salvage keeps the records and dead letters of a buffer without the columns."""
    before = {one.entry_id: one.raw for one in read(older)}
    older.execute(
        "insert into dead_letters select entry_id, record_kind, location_id, file_generation,"
        " byte_offset, byte_length, session_id, type, uuid, parent_uuid, timestamp, request_id,"
        " version, cwd, git_branch, is_sidechain, reason, ingested_at, raw, seq, 'why', 0"
        " from records where seq = 2"
    )
    older.execute("delete from records where seq = 2")
    replace_damaged(older.path, damaged(older.path, os.fsdecode(b"a test says so")))
    assert {one.entry_id: one.raw for one in read(older)} == before
    assert columns(older) >= NEW
