"""Pruning with clocks that were wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.buffer.pruning import _due_of, _Span, prune
from sync_agent.buffer.store import open_buffer

DAY = 86_400 * 1_000_000
NOW = 1_000 * DAY


def _fill(connection: sqlite3.Connection, days: list[float]) -> None:
    """Put records in that were read so many days ago, and let every consumer have them."""
    columns = [row[1] for row in connection.execute("pragma table_info(records)")]
    kinds = {row[1]: row[2].lower() for row in connection.execute("pragma table_info(records)")}
    connection.execute("pragma foreign_keys = off")
    for seq, ago in enumerate(days, start=1):
        values = {name: 0 if "int" in kinds[name] else b"" for name in columns}
        values |= {"seq": seq, "ingested_at": int(NOW - ago * DAY)}
        marks = ", ".join("?" * len(columns))
        connection.execute(f"insert into records values ({marks})", [values[c] for c in columns])
    connection.execute(
        "insert into consumers (name, acknowledged, updated_at) values ('lake', ?, 0)",
        (len(days),),
    )


@pytest.mark.parametrize(
    ("days", "retention", "kept"),
    [
        ([9, 8, -0.8, -0.6, 7.5, 1], 7, 1),  # hours ahead once: they go with the next that is due
        ([-400, 9, 1], 7, 1),
        ([9, -400, 1, 8], 7, 3),  # one that is young by right time ends it
        ([-400, -400], 7, 2),  # nothing right came after: they stay, and hold nothing back
        ([-400, -400, -1, 0], 0, 0),
        ([400, 9, 1], 7, 1),
        ([-300] * 30 + [9], 7, 0),
    ],
)
def test_records_of_the_future_hold_nothing_back(
    home: Path, days: list[float], retention: float, kept: int
) -> None:
    """What every consumer has goes by right time, past records that claim to be read later."""
    with open_buffer(home / "b.db") as buffer:
        _fill(buffer.connection, days)
        prune(buffer, retention_days=retention, rows=4, clock=lambda: NOW * 1_000)
        (left,) = buffer.connection.execute("select count(*) from records").fetchone()
    assert left == kept


@given(
    days=st.lists(st.floats(-400, 400), max_size=30),
    retention=st.floats(0, 30),
    limit=st.integers(1, 40),
)
def test_what_goes_is_old_or_claims_the_future(
    days: list[float], retention: float, limit: int
) -> None:
    """No record that is young by right time goes, and none behind one that stays."""
    rows = [(seq, int(NOW - ago * DAY)) for seq, ago in enumerate(days, start=1)]
    span = _Span(NOW - int(retention * DAY), NOW)
    seqs = _due_of(rows, span, limit)
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) <= limit
    for _, at in rows[: len(seqs)]:
        assert at <= span.newest or at > span.now
