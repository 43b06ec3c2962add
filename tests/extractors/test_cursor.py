from __future__ import annotations

import pytest

from annals.errors import IntegrityError
from extractors.cursor import (
    KIND,
    POSITIONS,
    TOKENS,
    Cursor,
    SnapshotKind,
    from_summary,
    to_summary,
)


def test_a_summary_holds_the_cursor() -> None:
    """P-06: what goes into a snapshot's summary comes out of it."""
    cursor = Cursor({"b": 2, "a": 1}, {"a": "t"})
    summary = to_summary(cursor, SnapshotKind.EXTRACT)
    assert summary[POSITIONS] == '{"a":1,"b":2}'
    assert summary[KIND] == "extract"
    assert from_summary(summary) == cursor


def test_other_programs_snapshots_carry_none() -> None:
    """P-08: a summary without positions is not a cursor, not an empty one."""
    assert from_summary({"operation": "replace"}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"a":"1"}', '{"a":-1}', '{"a":true}'])
def test_unreadable_positions_are_refused(text: str) -> None:
    """P-09: positions that cannot be understood are an integrity error, never taken for none."""
    with pytest.raises(IntegrityError) as caught:
        from_summary({POSITIONS: text})
    assert caught.value.exit_code == 9


def test_unreadable_tokens_are_refused() -> None:
    """P-09: the same goes for tokens."""
    with pytest.raises(IntegrityError):
        from_summary({POSITIONS: "{}", TOKENS: '{"a":1}'})


def test_raising_never_lowers() -> None:
    """P-07: a raised cursor is nowhere below the old one, and others' agents stay."""
    cursor = Cursor({"a": 5, "b": 3}, {"a": "old", "b": "other"})
    raised = cursor.raised({"a": 4}, {"a": "new"})
    assert raised == Cursor({"a": 5, "b": 3}, {"a": "new", "b": "other"})
    assert cursor.raised({"a": 9}, {}).seq("a") == 9
    assert cursor.seq("nobody") == 0
