"""A buffer of the original service at our path: set aside untouched, and the command says so."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from sync_agent.buffer.legacy_file import is_legacy, set_aside
from tests.sync_agent.legacy_service import write_buffer
from tests.sync_agent.places import CHAT, Place, assert_balanced

ROWS = "select project_id, synced from pending_entries"


def _aside(place: Place) -> Path:
    return place.settings.sqlite_path.with_name("buffer.db.legacy")


def test_the_sync_says_so_once_and_goes_on(place: Place) -> None:
    """B-06 The transcripts are read into a new buffer; nothing of the old rows is in it."""
    place.write(CHAT, b'{"a":1}\n')
    write_buffer(place.settings.sqlite_path)
    (warning,) = place.sync().warnings
    assert str(_aside(place)) in warning
    assert place.lines() == [b'{"a":1}']
    assert place.query("select path from journal where event = 'set aside'") == [
        (str(_aside(place)),)
    ]
    assert_balanced(place.custody())
    assert place.sync().warnings == ()


def test_the_file_is_set_aside_untouched(place: Place) -> None:
    """B-06 File and log keep every byte under a new name, and can be read by the old service."""
    path = place.settings.sqlite_path
    write_buffer(path)
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
        assert connection.execute(ROWS).fetchall() == [("-q", 0)]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_crash_while_setting_aside_is_finished(place: Place, steps: int) -> None:
    """B-06 Whatever step a crash left, the next start sets the whole file aside, log included."""
    path, aside = place.settings.sqlite_path, _aside(place)
    write_buffer(path)
    connection = sqlite3.connect(path)
    connection.execute("update pending_entries set project_id = '-q'")
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
    with contextlib.closing(sqlite3.connect(aside)) as connection:
        assert connection.execute(ROWS).fetchall() == [("-q", 0)]


def test_a_second_one_is_set_aside_beside_the_first(place: Place) -> None:
    """B-06 What was set aside before is never overwritten."""
    path = place.settings.sqlite_path
    for _ in range(2):
        path.unlink(missing_ok=True)
        write_buffer(path)
        place.sync()
    assert _aside(place).exists()
    assert _aside(place).with_name("buffer.db.legacy-2").exists()


def test_ours_is_never_taken_for_one(place: Place) -> None:
    """B-06 Our own buffer, a file of another program, a folder, no file: none is such a buffer."""
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
