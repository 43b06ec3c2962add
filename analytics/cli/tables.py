"""Tables and figures for people: whole when piped, as wide as the terminal when one shows them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from analytics.cli.layout import (
    GAP,
    Column,
    Id,
    Kind,
    Layout,
    fitting_layout,
    fold,
    shortened,
    text_width,
    title_lines,
    whole_layout,
)
from annals.text import one_line

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000
_ROWS_MEASURED = 1000
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished text. ``rows`` are read once, as they are printed."""

    columns: tuple[Column, ...]
    rows: Iterable[tuple[str, ...]]
    footer: tuple[str, ...] | None = None


def show(table: Table, *, wide: bool = False) -> None:
    """Print the table to standard output; no cell can send control codes to a terminal.

    On a terminal it is as wide as that allows (:mod:`analytics.cli.layout`), unless ``wide``.
    Columns are as wide as the first rows need, so a table of any length takes the same memory.
    """
    rows = map(_printable_row, table.rows)
    begin = list(islice(rows, _ROWS_MEASURED))
    footer = [_printable_row(table.footer)] if table.footer else []
    is_terminal = sys.stdout.isatty()
    if is_terminal and not wide:
        layout = fitting_layout(table.columns, [*begin, *footer], room=terminal_room())
    else:
        layout = whole_layout(table.columns, [*begin, *footer])
    head = list(_head(table.columns, layout))
    if is_terminal and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR"):
        head = [f"{_BOLD}{line}{_PLAIN}" for line in head]
    rule = _joined(["-" * width for width in layout.widths])
    body = (line for row in chain(begin, rows) for line in _lines(table.columns, layout, row))
    end = [rule, *_lines(table.columns, layout, footer[0])] if footer else []
    sys.stdout.writelines(f"{line}\n" for line in chain(head, [rule], body, end))


def terminal_room() -> int:
    """Return how many columns the terminal has."""
    return shutil.get_terminal_size().columns


def _printable_row(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        Id(make_printable(cell)) if isinstance(cell, Id) else make_printable(cell) for cell in row
    )


def _head(columns: tuple[Column, ...], layout: Layout) -> Iterator[str]:
    """Yield the lines of the titles, which end at the same line."""
    titles = [
        [columns[i].title] if layout.is_whole else title_lines(columns[i]) for i in layout.columns
    ]
    height = max(map(len, titles))
    for line in range(height):
        words = [title[line - height] if line >= height - len(title) else "" for title in titles]
        yield _aligned(columns, layout, words)


def _lines(columns: tuple[Column, ...], layout: Layout, row: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a row: the first one has every figure, the others are folded names."""
    cells = [
        _folded(shortened(row[i], layout.id_length), columns[i], width)
        for i, width in zip(layout.columns, layout.widths, strict=True)
    ]
    for line in range(max(map(len, cells))):
        yield _aligned(columns, layout, [cell[line] if line < len(cell) else "" for cell in cells])


def _folded(cell: str, column: Column, width: int) -> list[str]:
    if column.kind is not Kind.NAME or text_width(cell) <= width:
        return [cell]
    return fold(cell, width)


def _aligned(columns: tuple[Column, ...], layout: Layout, cells: list[str]) -> str:
    return _joined(
        [
            _padded(cell, width, right=columns[i].kind is Kind.FIGURE)
            for i, width, cell in zip(layout.columns, layout.widths, cells, strict=True)
        ]
    )


def _padded(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - text_width(cell))
    return blanks + cell if right else cell + blanks


def _joined(cells: list[str]) -> str:
    return (" " * GAP).join(cells).rstrip()


def make_printable(text: str) -> str:
    """Return ``text`` as one line without anything that drives a terminal."""
    return one_line(text)


def count(number: int) -> str:
    """Return ``1,234,567``."""
    return f"{number:,}"


def usd(amount: float | None) -> str:
    """Return ``$12.35``, with four places below ten cents, and ``unpriced`` where there is none."""
    if amount is None:
        return "unpriced"
    return f"${amount:,.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"  # noqa: PLR2004


def size(number: float) -> str:
    """Return ``33.8 MB`` (steps of 1,000)."""
    for unit in _UNITS[:-1]:
        if abs(number) < _STEP:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= _STEP
    return f"{number:,.1f} {_UNITS[-1]}"


def instant(moment: datetime | None) -> str:
    """Return ``2026-01-31T12:00:00.000Z``, the form transcripts use; empty where unknown."""
    if moment is None:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
