"""Tables on a terminal: dates and figures stay whole, whatever its width."""

from __future__ import annotations

import os
import pty
import re
import sys

import pytest

from analytics.cli.layout import Column, Id, Kind, fitting_layout
from analytics.cli.tables import Table, show

COLUMNS = (
    Column("Session"),
    Column("Last day (UTC)", Kind.TEXT, rank=2),
    Column("Models", rank=3),
    Column("Input", Kind.FIGURE, rank=1, part_of="tokens"),
    Column("Cache write", Kind.FIGURE, rank=1, part_of="tokens"),
    Column("Tokens", Kind.FIGURE, sum_of="tokens"),
    Column("Cost", Kind.FIGURE),
)
ROWS = [
    (
        Id("aaaaaaaa-1111-4000-8000-000000000000"),
        "2026-08-05",
        "claude-opus-4-5-20251101, claude-haiku-4-5-20251001",
        "23,233",
        "1",
        "23,234",
        "$0.74",
    ),
    (
        Id("aaaaaaaa-2222-4000-8000-000000000000"),
        "2026-08-12",
        "orchid-chat-2",
        "1,205,655",
        "2",
        "1,205,657",
        "unpriced",
    ),
]
TABLE = Table(COLUMNS, ROWS, ("Total", "", "", "1,228,888", "3", "1,228,891", "$0.74"))


def _shown(
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    term: str = "xterm",
    encoding: str = "utf-8",
    wide: bool = False,
) -> str:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding=encoding) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", term)
        show(TABLE, wide=wide)
    text = b""
    while piece := _piece(ours):
        text += piece
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def _plain(width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", _shown(width, monkeypatch))


def _piece(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed, and all of it was read
        return b""


@pytest.mark.parametrize("width", [20, 40, 45, 60, 80, 200])
def test_money_and_tokens_are_never_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stands whole in the line of its row, whatever the width."""
    lines = _plain(width, monkeypatch).splitlines()
    for id_, day, _, tokens, _, total, cost in ROWS:
        line = next(line for line in lines if line.startswith(id_[:10]))
        assert tokens in line or total in line
        assert line.endswith(cost)
        assert width < 60 or day in line
    assert lines[-1].startswith("Total")
    assert "1,228,8" in lines[-1]


@pytest.mark.parametrize("width", [40, 50, 60, 80, 200])
def test_a_table_is_not_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is broken by the terminal itself."""
    assert max(map(len, _plain(width, monkeypatch).splitlines())) <= width


def test_what_is_least_important_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids become prefixes that differ, then names fold, then columns go, and tokens add up."""
    shown = {width: _plain(width, monkeypatch) for width in (150, 80, 50, 32)}
    assert "aaaaaaaa-1111-4000-8000-000000000000" in shown[150]
    assert "aaaaaaaa-1  " in shown[80]
    assert "Models" in shown[80]
    assert "Models" not in shown[50]
    assert "2026-08-05" in shown[50]
    assert "1,205,655" in shown[80]
    assert "1,205,657" not in shown[80]
    assert "1,205,657" in shown[32]
    assert "2026-08-05" not in shown[32]


def test_wide_shows_everything_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is one line, longer than the terminal."""
    lines = _shown(40, monkeypatch, wide=True).splitlines()
    assert len(lines) == 2 + len(ROWS) + 2
    for row in ROWS:
        line = next(line for line in lines if line.startswith(row[0]))
        assert all(cell in line for cell in (*row[:5], row[6]))


@pytest.mark.parametrize(
    ("term", "encoding"), [("dumb", "utf-8"), ("xterm", "ascii"), ("dumb", "ascii")]
)
def test_a_plain_terminal_gets_plain_text(
    term: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are ASCII if the encoding asks for it, and a plain terminal gets no codes."""
    text = _shown(80, monkeypatch, term=term, encoding=encoding)
    assert text.isascii() is (encoding == "ascii")
    assert ("\x1b" in text) is (term == "xterm")


def test_ids_that_do_not_differ_stay_whole() -> None:
    """A prefix is shown only where it tells the rows apart."""
    rows = [(Id("session-number-1"),), (Id("session-number-2"),)]
    layout = fitting_layout((Column("Session"),), rows, room=10)
    assert layout.id_length == len("session-number-1")
