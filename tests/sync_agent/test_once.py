"""One sync after another, while files change in between."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from annals.errors import LockedError
from annals.locks import exclusive
from annals.records.identity import entry_id
from tests.sync_agent.places import CHAT, Place, assert_balanced, stamp

A, B, C = b'{"a":1}\n', b'{"b":2}\n', b'{"c":3}\n'
COPY = CHAT.replace("-project", "-other")


def long_lines(count: int, *, text: str = "x") -> bytes:
    """Return lines of about 1 kB."""
    return b"".join(
        json.dumps({"n": n, "text": text * 1000}).encode() + b"\n" for n in range(count)
    )


def test_a_first_sync_reads_everything_once(place: Place) -> None:
    """R-11 Each line is an entry under the id made of file key, offset and exact bytes."""
    place.write(CHAT, A + b' {"type":"user","sessionId":"s","isSidechain":true} \r\n')
    report = place.sync()
    assert (report.files_seen, report.files_read, report.entries_new) == (1, 1, 2)
    assert report.bytes_read == len(A) + 54
    first, second = place.kept("entry")
    key = CHAT.partition("/")[2].encode()
    assert first.entry_id == entry_id(key, 0, A[:-1])
    assert (second.offset, second.session_id, second.type) == (9, "s", "user")
    assert first.session_id == "11111111-0000-4000-8000-000000000000"
    assert place.query("select type, is_sidechain from records where seq = 2") == [("user", 1)]


def test_nothing_new_reads_nothing(place: Place) -> None:
    """R-30 A file with the same size, time and inode is not opened."""
    place.write(CHAT, A)
    place.sync()
    seq = place.query("select seq from sqlite_sequence")
    report = place.sync()
    assert (report.files_seen, report.files_read, report.bytes_read) == (1, 0, 0)
    assert place.query("select seq from sqlite_sequence") == seq


def test_an_appended_line_costs_its_own_bytes(place: Place) -> None:
    """R-31 After an append only the tail and two fingerprints are read."""
    place.write(CHAT, long_lines(2000))
    place.sync()
    place.append(CHAT, A)
    report = place.sync()
    assert report.entries_new == 1
    assert report.bytes_read == len(A) + 2 * 4096
    assert place.lines()[-1] == A[:-1]
    assert place.events() == ["discovered", "grown"]


@pytest.mark.parametrize("change", ["cut", "head", "tail"])
def test_a_rewritten_file_is_a_new_generation(place: Place, change: str) -> None:
    """R-32 Where size, head or tail contradict what was read, the file is read from its start."""
    before = long_lines(20)
    place.write(CHAT, before)
    place.sync()
    after = {
        "cut": before[:5000],
        "head": b'{"z":1}\n' + before[8:] + A,
        "tail": before[:-20] + b"y" * 17 + b'"}\n' + A,
    }[change]
    place.write(CHAT, after)
    report = place.sync()
    assert place.events() == ["discovered", "replaced"]
    assert {entry.generation for entry in place.kept("entry")} == {0, 1}
    assert report.files_read == 1
    assert_balanced(place.custody())


def test_an_edit_in_the_middle_is_found_by_the_time(place: Place) -> None:
    """R-33 At equal size a new time has the whole file compared: an edit is found."""
    before = long_lines(40)
    place.write(CHAT, before)
    place.sync()
    after = bytearray(before)
    after[20_500] = ord("y")
    place.write(CHAT, bytes(after))
    assert place.sync().entries_new == 40
    assert place.events() == ["discovered", "replaced"]
    assert len({entry.entry_id for entry in place.kept("entry")}) == 41


def test_a_new_time_alone_adds_nothing(place: Place) -> None:
    """R-33 A touched file is compared once and adds no record; so is one whose clock ran back."""
    place.write(CHAT, long_lines(40))
    place.sync()
    before = place.kept()
    for at in (None, 1_000_000_000):
        stamp(place.root / CHAT, at)
        assert place.sync().entries_new == 0
        assert place.sync().bytes_read == 0
    assert place.kept() == before


def test_a_new_inode_alone_changes_nothing(place: Place) -> None:
    """R-34 A restored copy with the same bytes and time costs two fingerprints, once."""
    path = place.write(CHAT, long_lines(40))
    place.sync()
    shutil.copy2(path, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)
    assert (place.sync().entries_new, place.sync().bytes_read) == (0, 0)
    assert place.events() == ["discovered"]


def test_a_moved_file_is_not_read_again(place: Place) -> None:
    """R-35 A file that moves to another project keeps its position; records keep where they lay."""
    path = place.write(CHAT, long_lines(40))
    place.sync()
    (place.root / COPY).parent.mkdir()
    path.rename(place.root / COPY)
    place.append(COPY, A)
    report = place.sync()
    assert (report.entries_new, report.files_vanished) == (1, 0)
    assert report.bytes_read == len(A) + 2 * 4096
    assert place.events() == ["discovered", "moved"]
    assert place.kept("entry")[0].path.endswith(CHAT.encode())
    assert place.kept("entry")[-1].path.endswith(COPY.encode())
    assert_balanced(place.custody())


def test_an_inode_used_again_is_no_move(place: Place) -> None:
    """R-35 Other bytes under the inode of a file that is gone are a new file."""
    path = place.write(CHAT, A)
    place.sync()
    (place.root / COPY).parent.mkdir()
    path.rename(place.root / COPY)
    place.write(COPY, B + C)
    report = place.sync()
    assert (report.entries_new, place.lines()) == (2, [A[:-1], B[:-1], C[:-1]])
    assert place.events() == ["discovered", "vanished", "discovered"]
    assert place.custody().files_vanished == 1


def test_a_moved_file_that_leaves_a_stub_is_not_read_again(place: Place) -> None:
    """R-35 Where the old path holds another file now, the moved one keeps its position."""
    path = place.write(CHAT, long_lines(40))
    place.sync()
    (place.root / COPY).parent.mkdir()
    path.rename(place.root / COPY)
    place.write(CHAT, C)
    report = place.sync()
    assert (report.entries_new, report.files_vanished) == (1, 0)
    assert report.bytes_read == len(C) + 2 * 4096
    assert place.events() == ["discovered", "moved", "discovered"]
    ids = [entry.entry_id for entry in place.kept("entry")]
    assert len(ids) == len(set(ids)) == 41
    assert_balanced(place.custody())


def test_a_moved_file_may_overwrite_another(place: Place) -> None:
    """R-35 A file moved over one of that name keeps its position; the other one has vanished."""
    path = place.write(CHAT, long_lines(40))
    place.write(COPY, C)
    place.sync()
    path.rename(place.root / COPY)
    report = place.sync()
    assert (report.entries_new, report.files_vanished) == (0, 1)
    assert report.bytes_read == 2 * 4096
    assert place.events()[2:] == ["vanished", "moved"]
    place.append(COPY, A)
    assert place.sync().entries_new == 1
    assert_balanced(place.custody())


def test_two_files_that_swap_their_places_are_not_read_again(place: Place) -> None:
    """R-35 Each of two files at the other's path keeps its own position."""
    first, second = place.write(CHAT, long_lines(40)), place.write(COPY, long_lines(50))
    place.sync()
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    report = place.sync()
    assert (report.entries_new, report.files_vanished) == (0, 0)
    assert report.bytes_read == 4 * 4096
    assert place.events()[2:] == ["moved", "moved"]
    assert place.sync().bytes_read == 0
    assert_balanced(place.custody())


def test_a_deleted_file_stays_in_custody(place: Place) -> None:
    """R-36 Deleting a file deletes no record; it is marked, and may come back."""
    path = place.write(CHAT, A)
    other = place.write(COPY, B)
    place.sync()
    kept = other.read_bytes()
    other.unlink()
    report = place.sync()
    assert (report.files_vanished, place.lines()) == (1, [A[:-1], B[:-1]])
    assert place.sync().files_vanished == 0
    place.write(COPY, kept + C)
    assert place.sync().entries_new == 1
    assert place.events() == ["discovered", "discovered", "vanished", "returned"]
    assert path.exists()


def test_copies_in_two_folders_have_equal_ids(place: Place) -> None:
    """R-38 The same session in two folders is read twice, under the same ids."""
    place.write(CHAT, A + B)
    place.write(COPY, A + B)
    assert place.sync().entries_new == 4
    assert len({entry.entry_id for entry in place.kept("entry")}) == 2


def test_files_are_read_in_order_of_time(place: Place) -> None:
    """R-39 The file that was changed longest ago is read first: it is deleted first, too."""
    place.write("-a/new.jsonl", A, mtime_ns=3_000_000_000)
    place.write("-b/old.jsonl", B, mtime_ns=1_000_000_000)
    place.write("-c/mid.jsonl", C, mtime_ns=2_000_000_000)
    place.sync()
    assert place.lines() == [B[:-1], C[:-1], A[:-1]]


def test_each_event_is_a_record_with_figures(place: Place) -> None:
    """R-40 A file record holds the event and the ledger of its file at that time."""
    place.write(CHAT, A + b"damage\n" + b'{"cut')
    place.sync()
    (record,) = place.kept("file")
    told: dict[str, Any] = json.loads(record.raw)
    assert told.pop("head_hash")
    assert told.pop("mtime_ns") == (place.root / CHAT).stat().st_mtime_ns
    assert told == {
        "event": "discovered",
        "generation": 0,
        "size": 20,
        "offset": 15,
        "entries": 1,
        "entry_bytes": 7,
        "quarantined_bytes": 6,
        "separator_bytes": 2,
    }
    assert record.offset == 20
    assert record.entry_id == entry_id(record.key, 20, record.raw)


def test_a_file_that_shrinks_while_it_is_read_is_read_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-37 What was read before the cut is kept; the next sync starts a new generation."""
    path = place.write(CHAT, long_lines(4000))
    size = path.stat().st_size

    class Cutting:
        def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
            """Cut the file when some of it has been read."""
            assert (stage, total, unit) == ("sync", size, "bytes")
            if done:
                os.truncate(path, 10_250)

    monkeypatch.setattr("sync_agent.buffer.store.BATCH_ROWS", 500)
    first = place.sync(progress=Cutting())
    assert 500 <= first.entries_new < 4000
    assert first.bytes_read < size
    place.sync()
    assert place.events()[-1] == "replaced"
    assert_balanced(place.custody())
    assert place.custody().bytes_on_disk == 10_250


def test_appends_during_a_sync_are_not_lost(place: Place) -> None:
    """R-37 While a writer appends, every sync takes whole lines, and the last one has all."""
    path = place.write(CHAT, b"")
    lines = [b'{"n":%d,"x":"%s"}' % (n, b"x" * (n % 300)) for n in range(3000)]

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            for line in lines:
                file.write(line[:7])
                file.write(line[7:] + b"\n")

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        place.sync()
    writer.join()
    place.sync()
    assert place.lines() == lines
    assert place.kept("quarantine") == []


def test_reading_is_left_to_a_live_agent(place: Place) -> None:
    """B-10 Where a live agent holds the buffer, a sync reads nothing and says who reads."""
    place.write(CHAT, A)
    with exclusive(place.settings.buffer_lock, role="sync run", what="the buffer"):
        report = place.sync()
    assert report.left_to is not None
    assert "sync run" in report.left_to
    assert str(os.getpid()) in report.left_to
    assert not place.settings.sqlite_path.exists()


def test_a_second_command_is_told_who_is_first(place: Place) -> None:
    """B-10 Where another command holds the buffer, a sync ends with exit code 7 and its name."""
    lock = place.settings.buffer_lock
    with (
        exclusive(lock, role="pipeline", what="the buffer"),
        pytest.raises(LockedError, match="pipeline") as caught,
    ):
        place.sync()
    assert caught.value.exit_code == 7


def test_ten_thousand_unchanged_files_are_only_listed(place: Place) -> None:
    """R-30 With 10,000 files nothing is read where nothing changed, and one tail where one did."""
    for number in range(10_000):
        folder = place.root / f"-p{number % 40}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jsonl").write_bytes(A)
    assert place.sync().entries_new == 10_000
    again = place.sync()
    assert (again.files_seen, again.files_read, again.bytes_read) == (10_000, 0, 0)
    place.append("-p7/7.jsonl", B)
    one = place.sync()
    assert (one.files_read, one.entries_new, one.bytes_read) == (1, 1, len(A) + len(B))


def test_progress_is_told_in_bytes(place: Place) -> None:
    """A long sync tells how many bytes of how many it has read."""
    told: list[tuple[float, float | None]] = []

    class Listening:
        def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
            assert (stage, unit) == ("sync", "bytes")
            told.append((done, total))

    data = long_lines(20_000)
    place.write(CHAT, data)
    place.sync(progress=Listening())
    assert told == sorted(told)
    assert {total for _, total in told} == {len(data)}
    assert told[-1][0] == len(data)


def test_real_transcripts_balance(real_transcripts: Path, tmp_path: Path) -> None:
    """L-01 Of the real transcripts every byte is in an entry, quarantine or separator."""
    truth = json.loads((real_transcripts / "TRUTH.json").read_text())["counts"]
    place = Place(tmp_path)
    place.root.rmdir()
    shutil.copytree(real_transcripts / "projects", place.root)
    report = place.sync()
    custody = place.custody()
    assert_balanced(custody)
    assert (custody.files, custody.bytes_on_disk) == (truth["files"], truth["bytes"])
    assert (report.entries_new, custody.pending_bytes) == (truth["records"], 0)
    reasons = dict(place.query("select reason, count(*) from records group by reason"))
    assert reasons["not_an_object"] == truth["non_object_records"]
