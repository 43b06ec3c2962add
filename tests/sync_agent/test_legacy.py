"""A buffer of the original service at our path: set aside, and nothing of it lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from annals.records.identity import entry_id
from sync_agent.buffer.legacy_file import is_legacy, set_aside
from sync_agent.buffer.store import open_buffer
from sync_agent.reading.legacy import take_over
from tests.sync_agent.legacy_service import CAMEL, entry, write_buffer
from tests.sync_agent.places import CHAT, Place, assert_balanced


def _row(number: int, content: str, **values: object) -> dict[str, object]:
    return {
        "id": number,
        "project_id": "-p",
        "session_id": "s",
        "entry": content,
        "created_at": "2026-01-31 12:00:00",
        **values,
    }


def _aside(place: Place) -> Path:
    return place.settings.sqlite_path.with_name("buffer.db.legacy")


def test_what_no_transcript_holds_becomes_legacy_entries(place: Place) -> None:
    """L-03 An unsynced row whose file is gone is an entry below legacy/, with its own bytes."""
    content = entry("gone", text="kept")
    write_buffer(place.settings.sqlite_path, [_row(1, content, file_path="/gone/s.jsonl")])
    (warning,) = place.sync().warnings
    assert "1 rows that it never synced" in warning
    (kept,) = place.kept("entry")
    assert kept.raw == content.encode()
    assert (kept.key, kept.offset, kept.session_id) == (b"legacy/s.jsonl", 0, "s")
    assert kept.entry_id == entry_id(b"legacy/s.jsonl", 0, kept.raw)
    assert place.query("select project_id, ingested_at from records join locations") == [
        ("-p", 1_769_860_800_000_000)
    ]
    assert place.sync().warnings == ()
    assert len(place.kept()) == 1


def test_a_row_without_a_session_in_its_content_keeps_its_own(place: Place) -> None:
    """L-03 Session and project are those of the row, also of a summary and of what is not JSON."""
    rows = [
        _row(1, '{"type":"summary","leafUuid":"x"}', session_id="one"),
        _row(2, "no JSON", session_id="two"),
    ]
    write_buffer(place.settings.sqlite_path, rows)
    place.sync()
    assert place.query("select record_kind, session_id from records order by seq") == [
        ("entry", "one"),
        ("quarantine", "two"),
    ]


def test_what_a_transcript_holds_has_its_id_by_our_rule(place: Place) -> None:
    """L-02 Where the source file still holds the entry it is read as usual, and once."""
    line = b'{"uuid":"here","type":"user","sessionId":"s"}'
    plain = b'{"type":"summary","leafUuid":"x","sessionId":"s"}'
    path = place.write(CHAT, line + b"\n" + plain + b"\n")
    rows = [
        _row(1, entry("here"), file_path=str(path)),
        _row(2, '{"sessionId": "s", "leafUuid": "x", "type": "summary"}', file_path=str(path)),
        _row(3, entry("edited away"), file_path=str(path)),
    ]
    write_buffer(place.settings.sqlite_path, rows)
    place.sync()
    assert place.lines() == [line, plain, entry("edited away").encode()]
    assert place.kept("entry")[0].entry_id == entry_id(CHAT.partition("/")[2].encode(), 0, line)
    assert_balanced(place.custody())


def test_what_was_synced_is_left(place: Place) -> None:
    """L-03 Rows that the original service had synced are not taken over."""
    rows = [_row(1, entry("a"), synced=1), _row(2, entry("b"), synced=0)]
    write_buffer(place.settings.sqlite_path, rows)
    place.sync()
    assert place.lines() == [entry("b").encode()]


def test_the_file_is_set_aside_untouched(place: Place) -> None:
    """L-01 File and log keep every byte under a new name, and can be read by the old service."""
    path = place.settings.sqlite_path
    write_buffer(path, [_row(1, entry("a"))])
    with contextlib.closing(sqlite3.connect(path)) as connection:  # leaves a log behind
        connection.execute("update pending_entries set project_id = '-q'")
        connection.commit()
        before = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
        assert len(before["-wal"]) > 0
        place.sync()
        aside = _aside(place)
        assert {one: Path(f"{aside}{one}").read_bytes() for one in before} == before
    assert not is_legacy(path)
    with contextlib.closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("select project_id, synced from pending_entries").fetchall() == [
            ("-q", 0)
        ]
    assert place.query("select project_id from locations") == [("-q",)]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_crash_while_setting_aside_is_finished(place: Place, steps: int) -> None:
    """L-01 Whatever step a crash left, the next start finds the whole buffer, log included."""
    path, aside = place.settings.sqlite_path, _aside(place)
    write_buffer(path, [])
    connection = sqlite3.connect(path)
    connection.execute("insert into pending_entries (project_id, session_id, entry) values (1,2,3)")
    connection.commit()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}{suffix}.kept")
    connection.close()
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}.kept").replace(f"{path}{suffix}")
    if steps > 0:
        aside.hardlink_to(path)
    if steps > 1:
        Path(f"{path}-wal").rename(f"{aside}-wal")
    place.sync()
    assert not is_legacy(path)
    assert [one.raw for one in place.kept("quarantine")] == [b"3"]


def test_a_second_one_is_set_aside_beside_the_first(place: Place) -> None:
    """L-01 What was set aside before is never overwritten."""
    path = place.settings.sqlite_path
    for uuid in ("first", "second"):
        path.unlink(missing_ok=True)
        write_buffer(path, [_row(1, entry(uuid))])
        place.sync()
    assert _aside(place).exists()
    assert _aside(place).with_name("buffer.db.legacy-2").exists()
    taken = [one.raw for one in place.kept("entry")]
    assert taken == [entry("first").encode(), entry("second").encode()]


def test_other_spellings_of_the_columns_are_understood(place: Place) -> None:
    """L-04 Camel case, other names, milliseconds and booleans are the same columns."""
    rows = [
        {"id": 7, "projectId": "-p", "sessionId": "t", "payload": entry("a", "t"), "isSynced": 0},
        {"id": 8, "payload": entry("b", "u"), "createdAt": 1_769_860_800_000, "isSynced": "false"},
        {"id": 9, "payload": entry("c"), "isSynced": "true"},
    ]
    write_buffer(place.settings.sqlite_path, rows, tables=CAMEL)
    place.sync()
    found = [(one.key, one.session_id) for one in place.kept("entry")]
    assert found == [(b"legacy/t.jsonl", "t"), (b"legacy/u.jsonl", "u")]
    times = place.query("select ingested_at from records order by seq")
    assert times[1] == (1_769_860_800_000_000,)


def test_a_row_without_a_known_column_is_kept_whole(place: Place) -> None:
    """L-04 Where no column is known to hold the entry, the row itself is the entry."""
    tables = "create table pending_entries (id integer primary key, text text, session_id text);"
    rows = [{"id": 1, "text": "what", "session_id": "../../x"}]
    write_buffer(place.settings.sqlite_path, rows, tables=tables)
    place.sync()
    (kept,) = place.kept("entry")
    assert kept.raw == b'{"id": 1, "text": "what", "session_id": "../../x"}'
    assert kept.key == b"legacy/.._.._x.jsonl"


def test_what_is_no_object_is_quarantined(place: Place) -> None:
    """L-03 Content that is not a JSON object is kept in quarantine, byte by byte."""
    write_buffer(place.settings.sqlite_path, [_row(1, "torn {"), _row(2, "")])
    place.sync()
    assert [(one.raw, one.reason) for one in place.kept("quarantine")] == [
        (b"torn {", "not_json"),
        (b"null", "not_json"),
    ]


def test_taking_over_twice_gives_the_same_ids(place: Place) -> None:
    """L-05 A crash before the note repeats the rows under equal ids; with the note, nothing."""
    rows = [_row(number, entry(f"u{number}")) for number in range(5)]
    write_buffer(place.settings.sqlite_path, rows)
    place.sync()
    ids = [one.entry_id for one in place.kept()]
    with open_buffer(place.settings.sqlite_path) as buffer:
        assert take_over(buffer, place.settings) == []
        buffer.connection.execute("delete from meta where key like 'legacy_taken:%'")
        buffer.connection.execute("delete from records")
        take_over(buffer, place.settings)
    assert [one.entry_id for one in place.kept()] == ids


def test_a_damaged_one_is_taken_as_far_as_it_can_be_read(place: Place) -> None:
    """L-05 A corrupt page ends the taking over with a warning; the sync itself goes on."""
    path = place.settings.sqlite_path
    write_buffer(path, [_row(number, entry(f"u{number}", pad="x" * 3000)) for number in range(50)])
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(8192))
    place.write(CHAT, b'{"a":1}\n')
    (warning,) = place.sync().warnings
    assert "cannot be read to its end" in warning
    assert b'{"a":1}' in place.lines()
    assert place.sync().warnings == ()


def test_ours_is_never_taken_for_one(place: Place) -> None:
    """L-01 Our own buffer, another program's file, a folder and nothing are no such buffer."""
    path = place.settings.sqlite_path
    assert set_aside(path) is None
    place.sync()
    assert not is_legacy(path)
    assert set_aside(path) is None
    other = path.with_name("other.db")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("create table pending (x)")
    assert not is_legacy(other)
    assert not is_legacy(path.parent)
