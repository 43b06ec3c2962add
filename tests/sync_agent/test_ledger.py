"""The byte ledger."""

from __future__ import annotations

import pytest

from annals.buffer.faults import DamagedBufferError
from annals.errors import TranscriptError
from sync_agent.buffer.store import open_buffer
from tests.sync_agent.places import CHAT, Place, assert_balanced

DATA = b'{"a":1}\nbroken\n\xef\xbb\xbf\n{"b":2}\r\n{"cut'


def test_every_byte_is_in_one_of_four(place: Place) -> None:
    """L-01 Entries, quarantine, separators and the pending tail add up to the bytes on disk."""
    place.write(CHAT, DATA)
    place.sync()
    report = place.custody()
    assert_balanced(report)
    assert (report.entries, report.entry_bytes) == (2, 14)
    assert (report.quarantined, report.quarantined_bytes) == (2, 9)
    assert (report.separator_bytes, report.pending_bytes) == (5, 5)
    assert report.bytes_on_disk == len(DATA)


def test_what_is_not_read_yet_is_pending(place: Place) -> None:
    """L-02 Before the first sync everything is pending; after an append, what was appended."""
    place.write(CHAT, DATA)
    assert place.custody().pending_bytes == len(DATA)
    assert not place.settings.sqlite_path.exists()
    place.sync()
    place.append(CHAT, b"123")
    place.write("-new/1.jsonl", b"45")
    report = place.custody()
    assert_balanced(report)
    assert (report.files, report.pending_bytes) == (2, 10)


def test_a_file_cut_since_is_pending_as_a_whole(place: Place) -> None:
    """L-03 Where a file is shorter than what was read of it, all of it waits to be read again."""
    place.write(CHAT, DATA)
    place.sync()
    place.write(CHAT, DATA[:8])
    report = place.custody()
    assert_balanced(report)
    assert (report.entries, report.pending_bytes) == (0, 8)


def test_a_vanished_file_leaves_the_bytes_it_never_finished(place: Place) -> None:
    """L-04 The pending tail of a file that is gone is counted as lost at the source."""
    place.write(CHAT, DATA)
    place.sync()
    (place.root / CHAT).unlink()
    place.sync()
    report = place.custody()
    assert_balanced(report)
    assert (report.files, report.files_vanished, report.lost_pending_bytes) == (0, 1, 5)
    assert report.bytes_on_disk == 0


def test_pruned_records_stay_in_the_ledger(place: Place) -> None:
    """L-05 The ledger does not need the records themselves."""
    place.write(CHAT, DATA)
    place.sync()
    before = place.custody()
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("delete from records")
    assert place.custody() == before


def test_figures_that_do_not_add_up_are_told(place: Place) -> None:
    """L-06 Where the stored figures of a file contradict its position, the ledger is unbalanced."""
    place.write(CHAT, DATA)
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute("update files set entry_bytes = entry_bytes - 1")
    assert not place.custody().balanced


def test_the_ledger_changes_nothing(place: Place) -> None:
    """L-07 Asking needs no lock, and a missing folder or a corrupt buffer is an error."""
    place.write(CHAT, DATA)
    place.sync()
    state = place.query("select * from files")
    place.custody()
    assert place.query("select * from files") == state
    place.settings.sqlite_path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(DamagedBufferError):
        place.custody()
    place.root.rename(place.root.with_name("away"))
    with pytest.raises(TranscriptError):
        place.custody()
