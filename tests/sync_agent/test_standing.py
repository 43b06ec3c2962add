"""How the agent stands, from the buffer alone; and the original service's own queries."""

from __future__ import annotations

import stat
from pathlib import Path

from annals.buffer.schema import RECORD_COLUMNS
from annals.locks import exclusive
from sync_agent.agent.agent_status import Behind, sync_status
from sync_agent.agent.observation import buffer_figures
from sync_agent.buffer.store import open_buffer
from tests.sync_agent.places import CHAT, Place

LINE = b'{"type":"user","sessionId":"s"}\n'


def _acknowledge(place: Place, name: str, seq: int) -> None:
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute(
            "insert into consumers values (?, ?, 1700000000000000)", (name, seq)
        )


def test_before_anything_was_read(place: Place) -> None:
    """Without a buffer the status is that of a new agent, and nothing is made."""
    now = sync_status(place.settings)
    assert (now.state, now.agent_id, now.pending) == ("new", None, 0)
    assert not place.settings.sqlite_path.parent.exists()


def test_what_waits_and_what_is_synced(tmp_path: Path) -> None:
    """With a MONGO_URI the server counts, without one the slowest lake; each has its figure."""
    place = Place(tmp_path)
    place.write(CHAT, LINE * 9)
    place.sync()
    assert (sync_status(place.settings).pending, sync_status(place.settings).synced) == (10, 0)
    _acknowledge(place, "lake", 8)
    _acknowledge(place, "slow lake", 6)
    _acknowledge(place, "mongodb", 3)
    now = sync_status(place.settings)
    assert (now.pending, now.synced, now.records, now.last_seq) == (4, 6, 10, 10)
    assert {one.name: one.waiting for one in now.consumers} == {
        "lake": 2,
        "slow lake": 4,
        "mongodb": 7,
    }
    assert now.last_sync_at == 1_700_000_000_000_000
    assert now.oldest_pending_at
    assert now.state == "stopped"
    shipping = sync_status(Place(tmp_path, mongo_uri="mongodb://127.0.0.1:1/").settings)
    assert (shipping.pending, shipping.synced) == (7, 3)


def test_what_the_server_refused_is_not_synced(tmp_path: Path) -> None:
    """A dead letter neither waits nor is it on the server; status and health say the same."""
    place = Place(tmp_path, mongo_uri="mongodb://127.0.0.1:1/")
    place.write(CHAT, LINE * 9)
    place.sync()
    _acknowledge(place, "mongodb", 3)
    with open_buffer(place.settings.sqlite_path) as buffer:
        buffer.connection.execute(
            f"insert into dead_letters ({RECORD_COLUMNS}, seq, server_reason, refused_at)"
            f" select {RECORD_COLUMNS}, seq, 'no', 1 from records where seq = 2"
        )
    status = sync_status(place.settings)
    assert (status.pending, status.synced, status.dead_letters) == (7, 2, 1)
    assert buffer_figures(place.settings.sqlite_path, ships=True)[:2] == (7, 2)


def test_files_that_have_grown_are_named(place: Place) -> None:
    """A file that is longer now than when it was read is behind, with the bytes that wait."""
    place.write(CHAT, LINE + b"broken\n")
    place.write("-p/quiet.jsonl", LINE)
    place.sync()
    place.append(CHAT, LINE)
    now = sync_status(place.settings)
    assert now.behind == (Behind(str(place.root / CHAT), len(LINE)),)
    assert (now.files_behind, now.bytes_behind) == (1, len(LINE))
    assert now.files == {"active": 2}
    assert now.quarantined == 1


def test_who_holds_the_buffer(place: Place) -> None:
    """A live agent is named by its role and process."""
    place.sync()
    with exclusive(place.settings.buffer_lock, role="sync run", what="the buffer"):
        now = sync_status(place.settings)
    assert now.state == "running"
    assert now.holder
    assert now.holder.role == "sync run"


def test_status_changes_nothing(place: Place) -> None:
    """The buffer's file stays as it is, and need not be writable."""
    place.write(CHAT, LINE)
    place.sync()
    path = place.settings.sqlite_path
    before = path.read_bytes()
    path.chmod(stat.S_IRUSR)
    assert sync_status(place.settings).records == 2
    assert path.read_bytes() == before


def test_the_original_queries_still_answer(place: Place) -> None:
    """B-13 pending_entries and file_positions answer the documented queries of the original."""
    place.write(CHAT, LINE * 3)
    place.sync()
    _acknowledge(place, "lake", 1)
    assert place.query("select count(*) from pending_entries where synced = 0") == [(3,)]
    _acknowledge(place, "mongodb", 2)
    assert place.query("select count(*) from pending_entries where synced = 0") == [(2,)]
    rows = place.query(
        "select id, project_id, session_id, created_at, synced from pending_entries order by id"
    )
    assert [(row[0], row[4]) for row in rows] == [(1, 1), (2, 1), (3, 0), (4, 0)]
    assert {row[1:3] for row in rows[:3]} == {("-home-u-project", "s")}
    assert all(row[3].startswith("20") and row[3].endswith("Z") for row in rows)
    path = str(place.root / CHAT)
    assert place.query("select file_path, position from file_positions") == [(path, 3 * len(LINE))]
