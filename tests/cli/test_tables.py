"""Tables on a terminal: dates and figures stay whole, whatever its width."""

from __future__ import annotations

import os
import pty
import re
import sys

import pytest

from analytics.cli.tables import Table, show

ROWS = [
    ("2026-08-05", "claude-opus-4-5-20251101, claude-haiku-4-5-20251001", "23,233", "$0.74"),
    ("2026-08-12", "orchid-chat-2", "1,205,655", "unpriced"),
]
TABLE = Table(
    ("Day", "Models", "Cache write", "Cost"), ROWS, ("Total", "", "1,228,888", "$0.74"), 2
)


def _shown(width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        show(TABLE)
    text = b""
    while piece := _piece(ours):
        text += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).replace("\r\n", "\n")


def _piece(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed, and all of it was read
        return b""


@pytest.mark.parametrize("width", [20, 45, 60, 80, 200])
def test_dates_and_figures_are_never_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stands whole in one line of the table; only long names are folded."""
    text = _shown(width, monkeypatch)
    for day, models, written, cost in ROWS:
        line = next(line for line in text.splitlines() if day in line)
        assert written in line
        assert cost in line
        folded = re.sub(r"\s", "", text)
        assert width < 80 or re.sub(r"\s", "", models)[:12] in folded
    assert "1,228,888" in text


@pytest.mark.parametrize("width", [50, 80])
def test_a_table_that_fits_is_no_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is broken by the terminal itself."""
    assert max(map(len, _shown(width, monkeypatch).splitlines())) <= width
