from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from annals.buffer import connection as buffers
from annals.buffer.faults import MissingBufferError, buffer_fault
from annals.errors import (
    ConflictError,
    DiskFullError,
    LocalBufferError,
    LockedError,
    SourceGapError,
)
from extractors.cursor import Cursor
from extractors.local import TOKENS_KEPT, Claim, LocalSource, claim_identity
from tests.extractors.buffers import Buffer

LAKE = "lake-uuid"


def claim(buffer: Buffer, cursor: Cursor | None = None, **options: bool) -> Claim:
    """Claim the buffer for a lake whose snapshots carry the cursor's tokens."""
    cursor = cursor or Cursor()
    live = set(cursor.tokens.values())
    return claim_identity(buffer.path, cursor, consumer=LAKE, live_tokens=live, **options)


def delivered(buffer: Buffer, *, through: int | None = None) -> Cursor:
    """Claim the buffer and return the cursor that a commit would leave in the lake."""
    made = claim(buffer)
    return Cursor({made.agent_id: through or made.through}, made.tokens)


def test_a_claim_notes_its_token_first(buffer: Buffer) -> None:
    """P-10: the token that will stand in the snapshot is in the buffer before it is used."""
    buffer.append_entries(3)
    made = claim(buffer)
    assert made.through == 3
    assert buffer.execute("select token from tokens") == [(made.tokens[buffer.agent_id],)]


def test_a_claim_bounds_the_source(buffer: Buffer) -> None:
    """P-10: what came after the token was noted is not part of this commit."""
    buffer.append_entries(3)
    source = LocalSource(buffer.path, claim(buffer))
    buffer.append_entries(2)
    assert source.committed() == {buffer.agent_id: 3}


def test_with_nothing_new_nothing_is_written(buffer: Buffer) -> None:
    """P-14: a claim on a buffer that the lake has in full leaves no trace."""
    buffer.append_entries(3)
    cursor = delivered(buffer)
    before = buffer.execute("select * from tokens")
    assert claim(buffer, cursor).tokens == {}
    assert buffer.execute("select * from tokens") == before


def test_a_known_token_keeps_the_identity(buffer: Buffer) -> None:
    """P-11: the buffer that noted the lake's token goes on as the same agent."""
    buffer.append_entries(3)
    cursor, agent_id = delivered(buffer), buffer.agent_id
    buffer.append_entries(1)
    assert claim(buffer, cursor).agent_id == agent_id


@pytest.mark.parametrize("token", [None, "noted-by-a-copy"])
def test_an_unknown_token_takes_a_new_identity(buffer: Buffer, token: str | None) -> None:
    """P-11: a position under a token that was never noted here belongs to a copy."""
    buffer.append_entries(3)
    old = buffer.agent_id
    cursor = Cursor({old: 2}, {old: token} if token else {})
    made = claim(buffer, cursor)
    assert made.agent_id != old
    assert made.agent_id == buffer.agent_id
    batches = LocalSource(buffer.path, made).read(made.agent_id, after=0, through=3)
    assert [record.seq for batch in batches for record in batch] == [1, 2, 3]


def test_a_position_beyond_the_last_seq_takes_a_new_identity(buffer: Buffer) -> None:
    """P-11: a lake that is further than the buffer ever was has another copy's records."""
    buffer.append_entries(3)
    cursor, old = delivered(buffer, through=9), buffer.agent_id
    assert claim(buffer, cursor).agent_id != old


def test_a_new_identity_keeps_what_is_not_delivered(buffer: Buffer) -> None:
    """P-11: only what every consumer has is deleted; the rest keeps its seq and is read again."""
    buffer.append_entries(6)
    old = buffer.agent_id
    LocalSource(buffer.path).acknowledge(LAKE, {old: 4})
    LocalSource(buffer.path).acknowledge("other-lake", {old: 2})
    made = claim(buffer, Cursor({old: 5}, {old: "noted-by-a-copy"}))
    assert [seq for (seq,) in buffer.execute("select seq from records")] == [3, 4, 5, 6]
    assert buffer.execute("select name, acknowledged from consumers order by name") == [
        (LAKE, 0),
        ("other-lake", 0),
    ]
    assert made.through == 6


def test_a_new_identity_does_not_trust_a_lake_that_went_back(buffer: Buffer) -> None:
    """P-12: where the cursor lies below what was acknowledged, the lower of the two counts."""
    buffer.append_entries(6)
    old = buffer.agent_id
    LocalSource(buffer.path).acknowledge(LAKE, {old: 5})
    claim(buffer, Cursor({old: 2}, {old: "forgotten"}))
    assert [seq for (seq,) in buffer.execute("select seq from records")] == [3, 4, 5, 6]


def test_a_new_identity_does_not_hide_a_gap(buffer: Buffer) -> None:
    """P-12: records pruned for other lakes' sake are missed, not forgotten."""
    buffer.append_entries(6)
    old = buffer.agent_id
    LocalSource(buffer.path).acknowledge("other-lake", {old: 4})
    buffer.prune()
    cursor = Cursor({old: 6}, {old: "noted-by-a-copy"})
    with pytest.raises(SourceGapError) as caught:
        claim(buffer, cursor)
    assert caught.value.context["pruned_through"] == 4
    assert "other-lake" in str(caught.value)
    assert buffer.agent_id == old
    assert claim(buffer, cursor, allow_gap=True).agent_id != old


def test_tokens_of_live_snapshots_stay(buffer: Buffer) -> None:
    """P-13: as long as a rollback can bring a token back, the buffer knows it."""
    buffer.append_entries(1)
    cursor = delivered(buffer)
    for _ in range(TOKENS_KEPT + 5):
        claim(buffer, cursor, always=True)
    tokens = {token for (token,) in buffer.execute("select token from tokens")}
    assert set(cursor.tokens.values()) <= tokens
    assert len(tokens) == TOKENS_KEPT + 1


def test_tokens_keep_their_order_when_the_clock_goes_back(buffer: Buffer) -> None:
    """P-18: the newest token is the one noted last, whatever the clock says."""
    buffer.append_entries(1)
    buffer.execute("insert into tokens values ('from-the-future', ?)", 2**60)
    made = claim(buffer)
    newest = buffer.execute("select token from tokens order by noted_at desc limit 1")
    assert newest == [(made.tokens[buffer.agent_id],)]


def test_another_file_in_its_place_is_noticed(buffer: Buffer, tmp_path: Path) -> None:
    """P-11: a claim is good for the file that it was made on, not for one put in its place."""
    buffer.append_entries(2)
    older = buffer.copy(tmp_path / "older.db")
    source = LocalSource(buffer.path, claim(buffer))
    for suffix in ("-wal", "-shm"):
        Path(f"{buffer.path}{suffix}").unlink(missing_ok=True)
    older.path.replace(buffer.path)
    with pytest.raises(ConflictError):
        list(source.read(buffer.agent_id, after=0, through=2))
    source.acknowledge(LAKE, {buffer.agent_id: 2})
    assert buffer.execute("select * from consumers") == []


def test_a_position_of_a_copy_is_not_acknowledged(buffer: Buffer) -> None:
    """P-13: only what this very buffer brought about is acknowledged to it."""
    buffer.append_entries(2)
    made, agent = claim(buffer), buffer.agent_id
    assert made.own_positions(Cursor({agent: 2}, made.tokens)) == {agent: 2}
    assert made.own_positions(Cursor({agent: 2}, {agent: "noted-by-a-copy"})) == {}
    assert made.own_positions(Cursor()) == {}


def test_a_missing_buffer_is_named(tmp_path: Path) -> None:
    """Reading a buffer that is not there says so and how to get one; no file appears."""
    path = tmp_path / "none.db"
    with pytest.raises(MissingBufferError, match=r"none\.db") as caught:
        LocalSource(path).committed()
    assert "sync once" in caught.value.hint
    assert not path.exists()


def test_an_unknown_schema_is_refused(buffer: Buffer) -> None:
    """A buffer of a later version is not misread."""
    buffer.execute("update meta set value = 99 where key = 'schema_version'")
    with pytest.raises(LocalBufferError, match="schema version 99"):
        LocalSource(buffer.path).committed()


@pytest.mark.parametrize("content", [b"", b"this is not a database" * 100])
def test_a_file_that_is_no_buffer_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is an error with a remedy, not a traceback."""
    path = tmp_path / "odd.db"
    path.write_bytes(content)
    with pytest.raises(LocalBufferError) as caught:
        LocalSource(path).committed()
    assert "sync once" in caught.value.hint


def test_damaged_records_are_reported_to_the_next_sync(buffer: Buffer) -> None:
    """Damage that only a reader of records sees makes the next sync check the whole buffer."""
    buffer.append([b"x" * 3000 for _ in range(50)])
    buffer.execute("pragma wal_checkpoint(truncate)")
    data = bytearray(buffer.path.read_bytes())
    (root,) = buffer.execute("select rootpage from sqlite_schema where name = 'records'")[0]
    data[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    buffer.path.write_bytes(data)
    with pytest.raises(LocalBufferError) as caught:
        list(LocalSource(buffer.path).read(buffer.agent_id, after=0, through=50))
    assert "sync once" in caught.value.hint
    assert buffer.path.with_name(buffer.path.name + ".suspect").exists()


def test_a_busy_buffer_is_an_error_after_a_while(
    buffer: Buffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that never ends leads to an error that says so; reading still works."""
    monkeypatch.setattr(buffers, "BUSY_TIMEOUT_SECONDS", 0.05)
    buffer.append_entries(1)
    with closing(sqlite3.connect(buffer.path, isolation_level=None)) as other:
        other.execute("begin immediate")
        assert LocalSource(buffer.path).committed() == {buffer.agent_id: 1}
        with pytest.raises(LockedError, match="busy"):
            claim(buffer)


def test_a_short_writer_is_waited_for(buffer: Buffer) -> None:
    """An acknowledgement waits for the sync agent's transaction to end."""
    buffer.append_entries(1)
    begun = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(buffer.path, isolation_level=None)) as other:
            other.execute("begin immediate")
            begun.set()
            time.sleep(0.2)
            other.execute("commit")

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    LocalSource(buffer.path).acknowledge(LAKE, {buffer.agent_id: 1})
    thread.join()
    assert buffer.execute("select acknowledged from consumers") == [(1,)]


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    """SQLite's own word for a full disk becomes exit code 10."""
    with closing(sqlite3.connect(tmp_path / "full.db")) as connection:
        connection.execute("pragma max_page_count = 2")
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute("create table t as select zeroblob(1000000)")
    error = buffer_fault(caught.value, tmp_path)
    assert isinstance(error, DiskFullError)
    assert error.exit_code == 10


def test_a_record_of_60_mib_is_read(buffer: Buffer) -> None:
    """One very long record comes alone in its batch, with all its bytes."""
    large = b"x" * (60 * 1024 * 1024)
    buffer.append([b"before", large, b"after"])
    batches = list(LocalSource(buffer.path).read(buffer.agent_id, after=0, through=3))
    assert [[record.seq for record in batch] for batch in batches] == [[1], [2], [3]]
    assert batches[1][0].raw == large
