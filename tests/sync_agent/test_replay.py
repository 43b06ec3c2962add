"""Records that travel again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from annals.errors import UsageError
from sync_agent.buffer.buffer_reader import session_named
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import open_buffer
from sync_agent.upkeep.replay import Replayed, Selection, replay
from tests.sync_agent.places import CHAT, Place, assert_balanced

OTHER = "-home-u-project/22222222-0000-4000-8000-000000000000.jsonl"


def _line(day: int, session: str = "s") -> bytes:
    return b'{"sessionId":"%s","timestamp":"2026-01-%02dT00:00:00Z"}\n' % (session.encode(), day)


def _replay(place: Place, **selection: str) -> Replayed:
    with open_buffer(place.settings.sqlite_path) as buffer:
        return replay(buffer, place.settings, Selection(**selection))


def _ship(place: Place, *, prune_too: bool = False) -> None:
    """Let a consumer have everything, and prune what it has."""
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute(
            "insert or replace into consumers select 'lake', max(seq), 0 from records"
        )
        if prune_too:
            prune(buffer, retention_days=0)


def _filled(folder: Path) -> Place:
    place = Place(folder, buffer_retention_days=0)
    place.write(CHAT, b"".join(_line(day) for day in (1, 2, 3)))
    place.write(OTHER, _line(2, "t") + _line(4, "t") + b"broken\n")
    place.sync()
    return place


def test_everything_travels_again_once(tmp_path: Path) -> None:
    """B-15 All records get new numbers and keep ids and bytes; what waits already does not."""
    place = _filled(tmp_path)
    assert _replay(place) == Replayed(waiting=8)
    _ship(place)
    before = place.kept()
    assert _replay(place) == Replayed(requeued=8)
    after = place.kept()[len(before) :]
    assert [record[1:] for record in after] == [record[1:] for record in before]
    assert min(record.seq for record in after) > max(record.seq for record in before)
    assert _replay(place) == Replayed(waiting=8)
    assert_balanced(place.custody())


def test_what_the_server_lacks_waits(tmp_path: Path) -> None:
    """B-15 With a MONGO_URI only what the server has can travel again; a lake does not count."""
    place = _filled(tmp_path)
    _ship(place)
    shipping = Place(tmp_path, mongo_uri="mongodb://127.0.0.1:1/")
    assert _replay(shipping) == Replayed(waiting=8)
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("insert into consumers values ('mongodb', 3, 0)")
    assert _replay(shipping) == Replayed(requeued=3, waiting=5)


def test_a_part_can_be_selected(tmp_path: Path) -> None:
    """B-15 --session, --file and --since choose, alone and together."""
    place = _filled(tmp_path)
    _ship(place)
    chosen = {
        "session": Selection(session_id="t"),
        "file": Selection(file=str(place.root / OTHER)),
        "end": Selection(file=OTHER),
        "key": Selection(file=OTHER.partition("/")[2]),
        "since": Selection(since="2026-01-03"),
        "both": Selection(since="2026-01-03", session_id="t"),
        "none": Selection(file="2.jsonl"),
    }
    found = {}
    for name, selection in chosen.items():
        found[name] = _replay(place, **{k: v for k, v in asdict(selection).items() if v}).requeued
        _ship(place)
    assert found == {
        "session": 2,
        "file": 4,
        "end": 4,
        "key": 4,
        "since": 5,  # two entries of these days; the broken line and the file records are of today
        "both": 1,
        "none": 0,
    }


def test_what_was_pruned_is_read_again(tmp_path: Path) -> None:
    """B-15 Records that the buffer no longer has come from their files, under the same ids."""
    place = _filled(tmp_path)
    ids = {record.entry_id for record in place.kept() if record.kind != "file"}
    _ship(place, prune_too=True)
    assert place.kept() == []
    assert _replay(place, since="2026-01-04") == Replayed(reread=1, files_reread=2)
    assert _replay(place) == Replayed(reread=5, files_reread=2, waiting=1)
    assert {record.entry_id for record in place.kept()} == ids
    assert len(place.kept()) == len(ids)
    assert_balanced(place.custody())


def test_what_is_nowhere_any_more_is_said(tmp_path: Path) -> None:
    """B-15 Pruned records of a file that is gone or changed are named as missing, not invented."""
    place = _filled(tmp_path)
    _ship(place, prune_too=True)
    (place.root / CHAT).unlink()
    place.write(OTHER, _line(9, "t") * 9)
    assert _replay(place) == Replayed(files_missing=2)


def test_a_session_is_named_by_how_its_id_begins(tmp_path: Path) -> None:
    """The beginning has to be of one session; of several, all are named and none is taken."""
    place = _filled(tmp_path)
    _ship(place, prune_too=True)
    assert session_named(place.settings, "2222") == "22222222-0000-4000-8000-000000000000"
    assert session_named(place.settings, "nobody") == "nobody"
    third = OTHER.replace("22222222", "22223333")
    place.write(third, _line(5, "u"))
    place.sync()
    with pytest.raises(UsageError, match="beginning of 2 session ids") as refused:
        session_named(place.settings, "2222")
    assert "22222222-0000" in refused.value.hint
    assert "22223333-0000" in refused.value.hint
    assert refused.value.exit_code == 2
    assert session_named(place.settings, "22223333") == "22223333-0000-4000-8000-000000000000"
    assert session_named(place.settings, "u") == "u"
