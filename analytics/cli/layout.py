"""Which columns of a table a terminal has room for.

What does not fit is made narrower in this order: ids become prefixes, names are folded, columns of
figures are replaced by their sum, and columns are left out, the least important one first. Rich
folds and draws what is chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

GAP = 2
LEAST_FOLDED = 12
"""A folded name keeps this width at least; a date, which is shorter, is never broken."""

_SHORTEST_ID = 8


class Kind(Enum):
    """What a column holds: ``NAME`` may be folded, ``TEXT`` and ``FIGURE`` never are."""

    NAME = "name"
    TEXT = "text"
    FIGURE = "figure"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; of two that can be left out, the one with the higher ``rank`` goes first.

    ``rank`` 0 always stays. Columns with the same ``part_of`` go together, and the column with that
    ``sum_of`` is shown in their place and only then. ``least`` is the width to fold a name to.
    """

    title: str
    kind: Kind = Kind.NAME
    rank: int = 0
    part_of: str = ""
    sum_of: str = ""
    least: int = LEAST_FOLDED


class Id(str):
    """An id in a cell, which a narrow table shows by its first characters."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns to print, by number; ``id_length`` None leaves ids whole.

    ``least_width`` is the number of columns of a terminal that the table needs if names are folded.
    """

    columns: tuple[int, ...]
    least_width: int
    id_length: int | None = None


def shorten_id(cell: str, length: int | None) -> str:
    """Return the first characters of an id, any other cell whole."""
    return cell[:length] if isinstance(cell, Id) else cell


def folded_title(column: Column) -> str:
    """Return a title with a word in each line, but for names."""
    return column.title if column.kind is Kind.NAME else column.title.replace(" ", "\n")


def whole_columns(columns: Sequence[Column]) -> tuple[int, ...]:
    """Return the columns of a table that leaves nothing out: no sum stands for others."""
    return tuple(i for i, column in enumerate(columns) if not column.sum_of)


def fitting_layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, room: int
) -> Layout:
    """Return the layout that shows most within ``room`` columns of a terminal.

    Figures, dates and columns of rank 0 are never given up: if even these are too wide for the
    terminal, ``least_width`` is above ``room``.
    """
    shown = whole_columns(columns)
    if (width := _total(_widest(columns[i], rows, i, None) for i in shown)) <= room:
        return Layout(shown, width)
    length = _id_length(rows)
    while True:
        least = _total(_least(columns[i], _widest(columns[i], rows, i, length)) for i in shown)
        rest = _next_shown(columns, shown)
        if least <= room or rest == shown:
            return Layout(shown, least, length)
        shown = rest


def _least(column: Column, width: int) -> int:
    return min(width, column.least) if column.kind is Kind.NAME else width


def _total(widths: Iterable[int]) -> int:
    known = tuple(widths)
    return sum(known) + GAP * (len(known) - 1)


def _widest(
    column: Column, rows: Sequence[Sequence[str]], index: int, id_length: int | None
) -> int:
    from rich.cells import cell_len

    cells = (cell_len(shorten_id(row[index], id_length)) for row in rows)
    return max(*map(len, folded_title(column).split("\n")), *cells, 0)


def _id_length(rows: Sequence[Sequence[str]]) -> int:
    """Return the length at which the ids of these rows still differ."""
    ids = {cell for row in rows for cell in row if isinstance(cell, Id)}
    longest = max(map(len, ids), default=0)
    lengths = range(_SHORTEST_ID, longest)
    return next((n for n in lengths if len({one[:n] for one in ids}) == len(ids)), longest)


def _next_shown(columns: Sequence[Column], shown: tuple[int, ...]) -> tuple[int, ...]:
    """Return the columns without the least important one, or without its whole group."""
    going = max(shown, key=lambda i: (columns[i].rank, i))
    if not columns[going].rank:
        return shown
    group = columns[going].part_of
    if not group:
        return tuple(i for i in shown if i != going)
    return tuple(
        i
        for i, column in enumerate(columns)
        if column.sum_of == group or (i in shown and column.part_of != group)
    )
