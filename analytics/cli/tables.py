"""Tables and figures for people: aligned text when piped, Rich when a terminal shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from analytics.text import one_line

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000
_ROWS_MEASURED = 1000
"""A table of more rows is printed as plain text, on a terminal too."""

_GAP = "  "
_LONGEST_WHOLE, _LEAST_FOLDED = 16, 12
"""Longer names may be folded on a narrow terminal, to this width at least; dates are not."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished text; the first ``text_columns`` are aligned left, the others right.

    ``rows`` are read once, as they are printed.
    """

    columns: tuple[str, ...]
    rows: Iterable[tuple[str, ...]]
    footer: tuple[str, ...] | None = None
    text_columns: int = 1


def show(table: Table) -> None:
    """Print the table to standard output; no cell can send control codes to a terminal.

    Columns are as wide as the first rows need, so a table of any length takes the same memory.
    """
    rows = iter(table.rows)
    begin = [tuple(map(printable, row)) for row in islice(rows, _ROWS_MEASURED)]
    if len(begin) < _ROWS_MEASURED and sys.stdout.isatty():
        _show_rich(table, begin)
    else:
        later = (tuple(map(printable, row)) for row in rows)
        sys.stdout.writelines(_plain(table, begin, later))


def printable(text: str) -> str:
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


def _plain(
    table: Table, begin: list[tuple[str, ...]], later: Iterable[tuple[str, ...]]
) -> Iterator[str]:
    footer = [tuple(map(printable, table.footer))] if table.footer else []
    measured = [table.columns, *begin, *footer]
    widths = [max(len(line[index]) for line in measured) for index in range(len(table.columns))]
    rule = tuple("-" * width for width in widths)
    end = [rule, *footer] if footer else []
    for line in chain([table.columns, rule], begin, later, end):
        yield _aligned(line, widths, text_columns=table.text_columns)


def _aligned(line: tuple[str, ...], widths: list[int], *, text_columns: int) -> str:
    cells = (
        cell.ljust(width) if index < text_columns else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    return _GAP.join(cells).rstrip() + "\n"


def _show_rich(table: Table, rows: list[tuple[str, ...]]) -> None:
    """Show the table as wide as the terminal; long names are folded, figures and dates are not."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(markup=False, highlight=False, emoji=False)
    footer = [tuple(map(printable, table.footer))] if table.footer else []
    widths = [max(map(len, column)) for column in zip(table.columns, *rows, *footer, strict=True)]
    folded = [i < table.text_columns and width > _LONGEST_WHOLE for i, width in enumerate(widths)]
    least = sum(_LEAST_FOLDED if fold else w for w, fold in zip(widths, folded, strict=True))
    if least + len(_GAP) * (len(widths) - 1) > console.width:  # a figure that is cut is wrong
        sys.stdout.writelines(_plain(table, rows, ()))
        return
    shown = RichTable(
        show_footer=table.footer is not None,
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for index, column in enumerate(table.columns):
        is_figure = index >= table.text_columns
        shown.add_column(
            column.replace(" ", "\n") if is_figure else column,
            footer=table.footer[index] if table.footer else "",
            justify="right" if is_figure else "left",
            overflow="fold",
            no_wrap=not folded[index],
        )
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
