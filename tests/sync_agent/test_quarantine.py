"""What is held back, and what a second try makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annals.buffer.faults import damaged
from annals.buffer.schema import RECORD_COLUMNS
from annals.errors import UsageError
from sync_agent.buffer.salvage import replace_damaged
from sync_agent.buffer.store import open_buffer
from sync_agent.upkeep.quarantine import Retried, held, held_bytes, named, retry
from tests.sync_agent.places import CHAT, Place, assert_balanced

LINE = b'{"a":1}\n'


def _retry(place: Place, *names: str) -> list[Retried]:
    with open_buffer(place.settings.sqlite_path) as buffer:
        return retry(buffer, place.settings, names)


def _long_line(length: int) -> bytes:
    return json.dumps({"type": "user", "uuid": "long", "text": "x" * length}).encode()


def _refuse(place: Place, seq: int) -> None:
    """Put a record among the dead letters, as a shipper does whose server refuses it."""
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute(
            f"insert into dead_letters ({RECORD_COLUMNS}, seq, server_reason, refused_at)"
            f" select {RECORD_COLUMNS}, seq, 'document too large', 5 from records where seq = ?",
            (seq,),
        )
        buffer.connection.execute("insert into consumers values ('mongo', ?, 0)", (seq,))


def test_what_is_held_back_is_listed_with_its_reason(place: Place) -> None:
    """B-14 Ranges and dead letters are listed with file, offset, length and reason."""
    place.write(CHAT, LINE + b"broken\n" + LINE)
    place.sync()
    _refuse(place, 1)
    found, letter = held(place.settings)
    assert (found.name, found.kind, found.reason) == ("q2", "range", "not_json")
    assert (found.byte_offset, found.byte_length) == (8, 6)
    assert found.file_path == str(place.root / CHAT)
    assert held_bytes(place.settings, found) == b"broken"
    assert (letter.name, letter.reason) == ("d1", "document too large")
    assert held_bytes(place.settings, letter) == LINE.strip()
    assert named([found, letter], ["d1"]) == [letter]
    with pytest.raises(UsageError):
        named([found, letter], ["q1"])


def test_a_dead_letter_travels_again_under_a_new_number(place: Place) -> None:
    """B-14 A retried dead letter is a record again, above every number that was given."""
    place.write(CHAT, LINE)
    place.sync()
    _refuse(place, 1)
    (before,) = place.query(f"select {RECORD_COLUMNS} from dead_letters")
    assert _retry(place, "d1") == [Retried("d1", 1, "on its way again")]
    assert place.query("select count(*) from dead_letters") == [(0,)]
    assert place.query(f"select {RECORD_COLUMNS} from records where seq = 3") == [before]
    assert held(place.settings) == []


def test_a_larger_limit_makes_an_entry_of_what_was_too_long(tmp_path: Path) -> None:
    """B-14 A line that was too long is an entry once MAX_LINE_BYTES allows it; the ledger holds."""
    line = _long_line(20_000_000)
    place = Place(tmp_path, max_line_bytes=9_000_000)
    place.write(CHAT, LINE + line + b"\n" + LINE)
    place.sync()
    names = [item.name for item in held(place.settings)]
    assert [item.reason for item in held(place.settings)] == ["too_long"] * 3
    assert _retry(place, names[1]) == [Retried(names[1], 0, "still no entry: too_long")]
    larger = Place(tmp_path, max_line_bytes=30_000_000)
    assert _retry(larger, names[1]) == [Retried(names[1], 1, "judged again")]
    assert held(larger.settings) == []
    entry = larger.kept("entry")[-1]
    assert (entry.raw, entry.offset, entry.generation) == (line, 8, 1)
    assert larger.events()[-1] == "retried"
    custody = larger.custody()
    assert_balanced(custody)
    assert (custody.entries, custody.quarantined, custody.quarantined_bytes) == (3, 0, 0)


def test_after_a_retry_the_file_is_known_as_it_is(tmp_path: Path) -> None:
    """B-14 The sum of ids follows a retry: a touched file is compared, and nothing comes of it."""
    place = Place(tmp_path, max_line_bytes=1_500_000)
    place.write(CHAT, _long_line(2_500_000) + b"\n" + LINE)
    place.sync()
    larger = Place(tmp_path, max_line_bytes=4_000_000)
    _retry(larger)
    count = len(larger.kept())
    larger.write(CHAT, (larger.root / CHAT).read_bytes())
    assert larger.sync().entries_new == 0
    assert len(larger.kept()) == count
    larger.append(CHAT, LINE)
    assert larger.sync().entries_new == 1
    assert larger.kept("entry")[-1].generation == 1
    assert_balanced(larger.custody())


def test_of_a_replaced_file_the_old_range_is_kept_apart(tmp_path: Path) -> None:
    """B-14 Of bytes that the file no longer has an entry is made, and no part of its ledger."""
    place = Place(tmp_path, max_line_bytes=1_500_000)
    place.write(CHAT, _long_line(2_500_000) + b"\n")
    place.sync()
    place.write(CHAT, LINE * 2)
    larger = Place(tmp_path, max_line_bytes=4_000_000)
    larger.sync()
    (done,) = _retry(larger)
    assert done.entries == 1
    assert larger.kept("entry")[-1].raw == _long_line(2_500_000)
    custody = larger.custody()
    assert_balanced(custody)
    assert custody.entries == 2


def test_after_a_salvage_counters_are_those_of_the_new_reading(tmp_path: Path) -> None:
    """B-14 A salvaged range that the new reading made an entry of is in no counter twice."""
    place = Place(tmp_path, max_line_bytes=1_500_000)
    place.write(CHAT, LINE + _long_line(2_500_000) + b"\n" + LINE)
    place.sync()
    larger = Place(tmp_path, max_line_bytes=4_000_000)
    replace_damaged(larger.settings.sqlite_path, damaged(larger.settings.sqlite_path, "a test"))
    larger.sync()
    (stale,) = held(larger.settings)
    assert _retry(larger, stale.name) == [Retried(stale.name, 1, "judged again")]
    assert held(larger.settings) == []
    custody = larger.custody()
    assert_balanced(custody)
    assert (custody.entries, custody.quarantined) == (3, 0)


def test_a_retry_that_changes_nothing_writes_nothing(place: Place) -> None:
    """B-14 What is still no entry stays as it was, under its name."""
    place.write(CHAT, b"broken\n\xff\xfe\n")
    place.sync()
    before = (place.kept(), held(place.settings))
    assert [one.outcome for one in _retry(place)] == [
        "still no entry: not_json",
        "still no entry: invalid_utf8",
    ]
    assert (place.kept(), held(place.settings)) == before
