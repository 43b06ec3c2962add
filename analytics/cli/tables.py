"""Tables and figures for people: aligned text when piped, Rich when a terminal shows them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from analytics.cli.layout import (
    GAP,
    Column,
    Id,
    Kind,
    Layout,
    fitting_layout,
    folded_title,
    shorten_id,
    whole_columns,
)
from annals.text import markdown, one_line

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000
_ROWS_MEASURED = 1000
"""A table of more rows is printed as plain text, on a terminal too."""


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
    if sys.stdout.isatty() and not wide and len(begin) < _ROWS_MEASURED:
        _show_rich(table, begin)
    else:
        _show_whole(table, begin, rows)


def show_markdown(table: Table) -> None:
    """Print the table as Markdown, whole; no cell can become markup."""
    shown = whole_columns(table.columns)
    rules = ("---:" if table.columns[i].kind is Kind.FIGURE else "---" for i in shown)
    titles = tuple(column.title for column in table.columns)
    _write_markdown(markdown(titles[i]) for i in shown)
    _write_markdown(rules)
    for row in chain(table.rows, [table.footer] if table.footer else ()):
        _write_markdown(markdown(row[i]) for i in shown)


def _write_markdown(cells: Iterable[str]) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")


def terminal_room() -> int:
    """Return how many columns the terminal has."""
    return shutil.get_terminal_size().columns


def _printable_row(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        Id(make_printable(cell)) if isinstance(cell, Id) else make_printable(cell) for cell in row
    )


def _footer(table: Table) -> list[tuple[str, ...]]:
    return [_printable_row(table.footer)] if table.footer else []


def _show_whole(
    table: Table, begin: list[tuple[str, ...]], later: Iterable[tuple[str, ...]]
) -> None:
    """Print every cell whole, in aligned lines."""
    shown, footer = whole_columns(table.columns), _footer(table)
    titles = tuple(column.title for column in table.columns)
    widths = [max(len(row[i]) for row in (titles, *begin, *footer)) for i in shown]
    rule = (" " * GAP).join("-" * width for width in widths) + "\n"
    lines = (_aligned(table.columns, row, shown, widths) for row in chain(begin, later))
    end = (_aligned(table.columns, row, shown, widths) for row in footer)
    sys.stdout.write(_aligned(table.columns, titles, shown, widths) + rule)
    sys.stdout.writelines(lines)
    sys.stdout.writelines([rule, *end] if footer else [])


def _aligned(
    columns: tuple[Column, ...], row: tuple[str, ...], shown: tuple[int, ...], widths: list[int]
) -> str:
    cells = (
        row[i].rjust(width) if columns[i].kind is Kind.FIGURE else row[i].ljust(width)
        for i, width in zip(shown, widths, strict=True)
    )
    return (" " * GAP).join(cells).rstrip() + "\n"


def _show_rich(table: Table, rows: list[tuple[str, ...]]) -> None:
    """Print what the terminal has room for; names are folded, figures and dates are not."""
    from rich.console import Console

    room, footer = terminal_room(), _footer(table)
    layout = fitting_layout(table.columns, [*rows, *footer], room=room)
    width = max(room, layout.least_width)  # a figure that is cut is wrong
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    console.print(_rich_table(table, rows, layout))


def _rich_table(table: Table, rows: list[tuple[str, ...]], layout: Layout) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable

    shown = RichTable(
        show_footer=table.footer is not None,
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    footer = _footer(table)
    for i in layout.columns:
        column = table.columns[i]
        shown.add_column(
            column.title if layout.id_length is None else folded_title(column),
            footer=footer[0][i] if footer else "",
            justify="right" if column.kind is Kind.FIGURE else "left",
            overflow="fold",
            no_wrap=column.kind is not Kind.NAME,
        )
    for row in rows:
        shown.add_row(*(shorten_id(row[i], layout.id_length) for i in layout.columns))
    return shown


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
