"""The transaction log: a row for what happened, in the transaction in which it happened."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sync_agent.agent.agent_status import read_journal
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import open_buffer, transaction
from sync_agent.buffer.transaction_log import FILES_A_COMMIT, limit_rows, newest, note
from tests.sync_agent.places import CHAT, Place

LINE = b'{"a":1}\n'


def test_a_sync_logs_each_file_with_its_entries(place: Place) -> None:
    """B-11 Each file that was read has a row with its entries, and what else happened to it."""
    place.write(CHAT, LINE * 3 + b"broken\n")
    place.sync()
    place.append(CHAT, LINE * 2)
    place.sync()
    (place.root / CHAT).unlink()
    place.sync()
    rows = [(row.event, row.count, row.detail) for row in read_journal(place.settings, limit=10)]
    assert rows == [
        ("read", 3, "1 quarantined, discovered"),
        ("read", 2, None),
        ("read", 0, "vanished"),
    ]
    assert all(row.path == str(place.root / CHAT) for row in read_journal(place.settings, limit=9))


def test_many_files_of_one_commit_share_a_row(place: Place) -> None:
    """B-11 A commit of many files stays short: the entries of all of them are counted."""
    for number in range(FILES_A_COMMIT + 7):
        place.write(f"-p/{number}.jsonl", LINE * 2)
    place.sync()
    rows = read_journal(place.settings, limit=100)
    assert len(rows) == FILES_A_COMMIT + 1
    assert sum(row.count for row in rows) == 2 * (FILES_A_COMMIT + 7)
    assert (rows[-1].path, rows[-1].detail) == (None, "7 more files; discovered")


def test_a_row_is_of_its_transaction(place: Place) -> None:
    """B-11 What is rolled back is not in the log."""
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:

        def fail() -> None:
            with transaction(buffer.connection):
                note(buffer.connection, "shipped", count=5)
                raise RuntimeError("no")

        with pytest.raises(RuntimeError):
            fail()
        with transaction(buffer.connection):
            note(buffer.connection, "refused", path=b"/a/\xff.jsonl", count=1, detail="too large")
    (row,) = read_journal(place.settings, limit=10)
    assert (row.event, row.path, row.count) == ("refused", "/a/\\udcff.jsonl", 1)


def test_the_log_is_bounded(place: Place) -> None:
    """B-11 However much is logged, little more than JOURNAL_ROWS rows stay: the newest."""
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        limit_rows(buffer.connection, 100)
        with transaction(buffer.connection):
            for number in range(3_000):
                note(buffer.connection, "shipped", path=str(number), count=number)
        (held,) = buffer.connection.execute("select count(*) from journal").fetchone()
        assert 100 <= held <= 164
        assert newest(buffer.connection, limit=1)[0].count == 2_999
        assert newest(buffer.connection, limit=10, since=1 << 60) == []


def test_what_repeats_itself_shares_a_row(place: Place) -> None:
    """B-11 Lines of one live file, and what is shipped of them, are a row each for a minute."""
    place.write(CHAT, LINE)
    place.sync()
    for _ in range(4):
        place.append(CHAT, LINE)
        place.sync()
        with open_buffer(place.settings.sqlite_path) as buffer:
            note(buffer.connection, "shipped", count=2)
    first, read, shipped = read_journal(place.settings, limit=10)
    assert (first.detail, first.count) == ("discovered", 1)
    assert (read.event, read.count, shipped.event, shipped.count) == ("read", 4, "shipped", 8)
    assert read.at < shipped.at < read.until < shipped.until
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("update journal set at = at - 61000000")
        note(buffer.connection, "shipped", count=1)
    assert [row.count for row in read_journal(place.settings, limit=10)] == [1, 4, 8, 1]


def test_a_smaller_limit_is_reached_in_steps(place: Place) -> None:
    """B-11 A lowered limit deletes a bounded number of rows at a time."""
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        with transaction(buffer.connection):
            for number in range(5_000):
                note(buffer.connection, "shipped", path=str(number))
            limit_rows(buffer.connection, 100)
            for number in range(64):
                note(buffer.connection, "refused", path=str(number))
        (held,) = buffer.connection.execute("select count(*) from journal").fetchone()
        assert held == 5_064 - 1_024


def test_pruning_is_logged(tmp_path: Path) -> None:
    """B-11 Pruned records have a row with their number."""
    place = Place(tmp_path, buffer_retention_days=0)
    place.write(CHAT, LINE * 4)
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("insert into consumers values ('lake', 5, 0)")
        prune(buffer, retention_days=0)
    row = read_journal(place.settings, limit=1)[0]
    assert (row.event, row.count, row.detail) == ("pruned", 5, "through record 5")


def test_a_buffer_of_the_first_version_is_added_to(place: Place) -> None:
    """B-12 A buffer without the newer tables is read as it is, and gets them at the next sync."""
    place.write(CHAT, LINE)
    place.sync()
    with contextlib.closing(sqlite3.connect(place.settings.sqlite_path)) as connection:
        connection.executescript(
            "drop view pending_entries; drop view file_positions; drop table journal;"
            "drop table requests; drop table retried; drop index quarantined;"
        )
    assert read_journal(place.settings, limit=10) == []
    place.append(CHAT, LINE)
    place.sync()
    assert [row.count for row in read_journal(place.settings, limit=10)] == [1]
    assert place.query("select count(*) from pending_entries where synced = 0") == [(4,)]
