"""The buffer file: what goes wrong with it, and what is never lost."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.buffer.faults import DamagedBufferError, suspect_file, translated
from annals.errors import DiskFullError, LocalBufferError
from sync_agent.agent.once import SyncReport
from sync_agent.buffer.pruning import prune
from sync_agent.buffer.store import Buffer, open_buffer
from tests.sync_agent.places import CHAT, Place, assert_balanced

LINE = b'{"type":"user","x":"%s"}\n'
ROOT = Path(__file__).resolve().parents[2]


def lines(count: int, size: int = 1000) -> bytes:
    """Return ``count`` lines of about ``size`` bytes, each different."""
    return b"".join(LINE % (b"%d-" % number + b"x" * size) for number in range(count))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of ``size`` at ``folder``, or skip where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def acknowledge(buffer: Buffer, name: str, seq: int) -> None:
    """Let a consumer say that it has everything up to ``seq``."""
    buffer.connection.execute("insert or replace into consumers values (?, ?, 0)", (name, seq))


def test_position_and_records_are_one(place: Place) -> None:
    """B-01 After every commit the position of a file is the end of its last record."""
    place.write(CHAT, lines(12_000))
    place.sync()
    (offset,) = place.query("select offset from files")[0]
    last = place.kept("entry")[-1]
    assert offset == last.offset + len(last.raw) + 1
    seqs = [record.seq for record in place.kept()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert place.events() == ["discovered", "grown"]


def test_a_file_read_in_part_is_never_taken_for_unchanged(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-01 A sync that ends in the middle of a grown file leaves it to be read on."""
    place.write(CHAT, lines(10))
    place.sync()
    place.append(CHAT, lines(2000))
    monkeypatch.setattr("sync_agent.buffer.store.BATCH_ROWS", 500)

    class Ending:
        def report(self, stage: str, done: float, total: float | None, *, unit: str) -> None:
            """End the sync after its first commit."""
            if done:
                raise KeyboardInterrupt(stage, total, unit)

    with pytest.raises(KeyboardInterrupt):
        place.sync(progress=Ending())
    assert 10 < len(place.lines()) < 2010
    place.sync()
    assert b"".join(line + b"\n" for line in place.lines()) == lines(10) + lines(2000)
    assert_balanced(place.custody())


def test_a_killed_sync_is_continued(place: Place) -> None:
    """B-02 Killed in the middle of a file, the next sync goes on; each line is there once."""
    data = lines(30_000, 3000)
    place.write(CHAT, data)
    code = (
        "from annals.settings import load_settings; from sync_agent.agent.once import sync_once;"
        f"sync_once(load_settings(claude_dir={str(place.root)!r},"
        f" sqlite_path={str(place.settings.sqlite_path)!r}))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wal = place.settings.sqlite_path.with_name("buffer.db-wal")
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not (wal.exists() and wal.stat().st_size > 1_000_000):
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = len(place.lines())
    assert before < 30_000
    report = place.sync()
    assert report.entries_new == 30_000 - before
    assert b"".join(line + b"\n" for line in place.lines()) == data
    assert_balanced(place.custody())


def test_a_large_record_is_stored_whole(place: Place) -> None:
    """B-03 Records of 4 MiB and more, written in steps, come back byte by byte, in order."""
    big = [LINE % (bytes([letter]) * (5 * 1024 * 1024)) for letter in b"abc"]
    small = lines(2)
    place.write(CHAT, big[0] + small + big[1] + big[2] + small)
    place.sync()
    assert b"\n".join([*place.lines(), b""]) == big[0] + small + big[1] + big[2] + small


def test_pruning_waits_for_every_consumer(place: Place) -> None:
    """B-04 Only what all consumers have, and what is old enough, is deleted."""
    place.write(CHAT, lines(100))
    place.sync()
    with open_buffer(place.settings.sqlite_path) as buffer:
        assert prune(buffer, retention_days=0).records == 0
        acknowledge(buffer, "lake", 101)
        acknowledge(buffer, "other", 40)
        assert prune(buffer, retention_days=7).records == 0
        assert prune(buffer, retention_days=0).records == 40
        assert buffer.meta("pruned_through") == 40
        acknowledge(buffer, "other", 101)
        prune(buffer, retention_days=0)
    assert place.kept() == []
    place.append(CHAT, LINE % b"new")
    place.sync()
    assert place.kept("entry")[0].seq == 102


def test_pruning_gives_space_back(place: Place) -> None:
    """B-04 The file of a pruned buffer becomes smaller, step by step."""
    place.write(CHAT, lines(5000, 3000))
    place.sync()
    path = place.settings.sqlite_path
    before = path.stat().st_size
    with open_buffer(path) as buffer:
        acknowledge(buffer, "lake", 1 << 40)
        while prune(buffer, retention_days=0, steps=1).records:
            pass
    assert path.stat().st_size < before / 2


def test_a_corrupt_buffer_is_replaced_and_everything_is_read_again(place: Place) -> None:
    """B-05 Whatever the file has become, the next sync sets it aside and needs no human."""
    place.write(CHAT, lines(50))
    place.sync()
    path = place.settings.sqlite_path
    (agent,) = place.query("select value from meta where key = 'agent_id'")[0]
    path.write_bytes(os.urandom(50_000))
    report = place.sync()
    assert report.entries_new == 50
    assert "set aside" in report.warnings[0]
    assert "buffer.db.corrupt-" in report.warnings[0]
    assert len(list(path.parent.glob("buffer.db.corrupt-*"))) == 1
    assert place.query("select value from meta where key = 'agent_id'") != [(agent,)]
    assert place.sync().warnings == ()
    assert_balanced(place.custody())


def test_records_of_deleted_files_are_salvaged(place: Place) -> None:
    """B-05 What can still be read of a corrupt buffer is kept: files may be gone."""
    path = place.settings.sqlite_path
    place.write("-old/gone.jsonl", lines(3000, 2000))
    place.sync()
    (place.root / "-old" / "gone.jsonl").unlink()
    place.write(CHAT, lines(10))
    place.sync()
    before = {record.entry_id: record.raw for record in place.kept()}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'files'")
        (size,) = connection.execute("pragma page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page[0] - 1) * size)
        file.write(b"\xff" * size)
        file.seek(path.stat().st_size // 2 // size * size)
        file.write(b"\xff" * size)
    report = place.sync()
    assert "salvaged" in report.warnings[0]
    kept = {record.entry_id: record.raw for record in place.kept()}
    lost = [ident for ident in before if ident not in kept]
    assert len(lost) < 1500
    assert all(kept[ident] == before[ident] for ident in before if ident in kept)
    assert {record.key for record in place.kept("entry")} >= {b"gone.jsonl"}


def test_a_crash_between_the_steps_of_a_replacement_is_finished(place: Place) -> None:
    """B-05 A replacement that died before its last step is finished by the next sync."""
    place.write(CHAT, lines(20))
    place.sync()
    path = place.settings.sqlite_path
    whole = path.parent / "whole"
    shutil.copy(path, whole)
    (path.parent / "buffer.db.new").write_bytes(whole.read_bytes())
    path.write_bytes(b"garbage" * 5000)
    assert place.sync().warnings == ()
    assert len(place.lines()) == 20
    (path.parent / "buffer.db.new").write_bytes(whole.read_bytes())
    path.unlink()
    place.sync()
    assert len(place.lines()) == 20


def test_another_programs_file_is_left_alone(place: Place) -> None:
    """B-06 An SQLite file with other tables, or of an unknown version, is refused untouched."""
    path = place.settings.sqlite_path
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table notes (text)")
    before = path.read_bytes()
    with pytest.raises(LocalBufferError, match="another program") as caught:
        place.sync()
    assert "SQLITE_PATH" in caught.value.hint
    assert path.read_bytes() == before
    path.unlink()
    place.sync()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update meta set value = 99 where key = 'schema_version'")
    with pytest.raises(LocalBufferError, match="schema version 99"):
        place.sync()


def test_a_full_disk_stops_and_loses_nothing(place: Place, tmp_path: Path) -> None:
    """B-07 On a full disk a sync ends with exit code 10; with space again it goes on."""
    data = lines(6000, 4000)
    with small_disk(tmp_path / "disk", "16m") as disk:
        place = Place(tmp_path, sqlite_path=disk / "buffer.db")
        place.write(CHAT, data)
        with pytest.raises(DiskFullError, match=r"buffer\.db") as caught:
            place.sync()
        assert caught.value.exit_code == 10
        assert "space" in caught.value.hint
        kept = place.lines()
        assert data.startswith(b"\n".join(kept))
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        place.sync()
        assert b"".join(line + b"\n" for line in place.lines()) == data
        assert_balanced(place.custody())


def test_a_disk_without_any_space_is_told(place: Place, tmp_path: Path) -> None:
    """B-07 Where not even the lock can be written the error is the same."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        place = Place(tmp_path, sqlite_path=disk / "buffer.db")
        place.write(CHAT, lines(1))
        with pytest.raises(DiskFullError):
            place.sync()


def test_a_folder_that_cannot_be_written_is_told(place: Place, tmp_path: Path) -> None:
    """B-08 A read-only disk, or a file where the folder should be, is an error with a remedy."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        place = Place(tmp_path, sqlite_path=disk / "state" / "buffer.db")
        place.write(CHAT, lines(1))
        with pytest.raises(LocalBufferError, match="buffer") as caught:
            place.sync()
        assert "SQLITE_PATH" in caught.value.hint
    (tmp_path / "file").touch()
    place = Place(tmp_path, sqlite_path=tmp_path / "file" / "buffer.db")
    with pytest.raises(LocalBufferError, match="cannot be written"):
        place.sync()


def test_files_that_may_not_be_read_are_tried_again() -> None:
    """R-05 An unreadable file or folder is counted and named, and nothing in it has vanished."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.sync()
        place.settings.sqlite_path.unlink()
        file = place.write(CHAT, lines(1))
        inner = place.write("-b/1.jsonl", lines(2)).parent
        Path(folder).chmod(0o755)
        place.settings.sqlite_path.parent.chmod(0o777)
        for left in place.settings.sqlite_path.parent.iterdir():
            left.unlink()
        file.chmod(0)
        report = as_nobody(place)
        assert (report.files_unreadable, report.entries_new, report.files_vanished) == (1, 2, 0)
        assert CHAT in report.warnings[0]
        inner.chmod(0)
        report = as_nobody(place)
        assert (report.files_unreadable, report.entries_new, report.files_vanished) == (1, 0, 0)
        assert "-b was skipped" in report.warnings[0]
        inner.chmod(0o755)
        file.chmod(0o644)
        assert as_nobody(place).entries_new == 1
        place.append(CHAT, lines(1))
        file.chmod(0)
        assert as_nobody(place).files_unreadable == 1
        assert_balanced(place.custody())
        file.chmod(0o644)
        assert as_nobody(place).entries_new == 1
        assert "vanished" not in place.events()


def as_nobody(place: Place) -> SyncReport:
    """Sync in a child that runs as a user without special rights."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            os.write(writing, pickle.dumps(place.sync()))
        except BaseException:  # noqa: BLE001 -- the edge of this process: the test shows it
            os.write(writing, pickle.dumps(traceback.format_exc()))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    report = pickle.loads(answer)  # noqa: S301 -- from our own child
    assert isinstance(report, SyncReport), report
    return report


def test_the_reading_process_stays_small(tmp_path: Path) -> None:
    """B-09 Reading lines of 8 MiB takes at most 120 MB of memory, one of 60 MiB at most 200."""
    code = (
        "import re, sys; from annals.settings import load_settings;"
        "from sync_agent.agent.once import sync_once;"
        "sync_once(load_settings(claude_dir=sys.argv[1], sqlite_path=sys.argv[2]));"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    mib = 1024 * 1024
    for name, data, limit in (
        ("8", (LINE % (b"x\xc3\xa9" * (8 * mib // 3 - 20))) * 4, 120),
        ("bad", LINE[:-2] % (b"x" * (8 * mib - 20)) + b"\n", 120),
        ("60", LINE % (b"x" * (60 * mib)), 200),
    ):
        place = Place(tmp_path / name)
        place.write(CHAT, data)
        done = subprocess.run(
            [sys.executable, "-c", code, str(place.root), str(place.settings.sqlite_path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout) / 1024 <= limit
        assert_balanced(place.custody())


def test_damage_that_a_reader_reported_is_found(place: Place) -> None:
    """B-05 Where a reader of records found damage, the next sync checks the whole buffer."""
    place.write(CHAT, lines(5000, 2000))
    place.sync()
    path = place.settings.sqlite_path
    middle = path.stat().st_size // 2 // 8192 * 8192
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\xff" * 8192 * 3)
    assert place.sync().warnings == ()
    with pytest.raises(DamagedBufferError), translated(path):
        place.lines()
    report = place.sync()
    assert "set aside" in report.warnings[0]
    assert b"".join(raw + b"\n" for raw in sorted(set(place.lines()))) == b"".join(
        sorted(lines(5000, 2000).splitlines(keepends=True))
    )
    assert place.sync().warnings == ()


def test_a_suspicion_that_proves_wrong_changes_nothing(place: Place) -> None:
    """B-05 A sound buffer that somebody suspected stays as it is."""
    place.write(CHAT, lines(5))
    place.sync()
    suspect_file(place.settings.sqlite_path).touch()
    assert place.sync().warnings == ()
    assert not suspect_file(place.settings.sqlite_path).exists()
    assert len(place.lines()) == 5
