"""Tables and figures for people: aligned text when piped, Rich when a terminal shows them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analytics.text import one_line

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished text; the first ``text_columns`` are aligned left, the others right."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    footer: tuple[str, ...] | None = None
    text_columns: int = 1


def show(table: Table) -> None:
    """Print the table to standard output; no cell can send control codes to a terminal."""
    safe = replace(table, rows=[tuple(map(printable, row)) for row in table.rows])
    if sys.stdout.isatty():
        _show_rich(safe)
    else:
        sys.stdout.write(_plain(safe))


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


def _plain(table: Table) -> str:
    lines = [table.columns, *table.rows, *([table.footer] if table.footer else [])]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    rule = ["-" * width for width in widths]
    body = [table.columns, tuple(rule), *table.rows]
    if table.footer:
        body += [tuple(rule), table.footer]
    return "".join(_aligned(line, widths, text_columns=table.text_columns) for line in body)


def _aligned(line: tuple[str, ...], widths: list[int], *, text_columns: int) -> str:
    cells = (
        cell.ljust(width) if index < text_columns else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    return "  ".join(cells).rstrip() + "\n"


def _show_rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(show_footer=table.footer is not None, header_style="bold")
    for index, column in enumerate(table.columns):
        shown.add_column(
            column,
            footer=table.footer[index] if table.footer else "",
            justify="left" if index < table.text_columns else "right",
            overflow="fold",
            no_wrap=index >= table.text_columns,  # a figure that is cut is a wrong figure
        )
    for row in table.rows:
        shown.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(shown)
