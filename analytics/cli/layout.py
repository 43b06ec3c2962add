"""Which columns of a table a terminal has room for, and how wide each of them is.

What does not fit is made narrower in this order: ids become prefixes, names are folded, columns of
figures are replaced by their sum, and columns are left out, the least important one first.
"""

from __future__ import annotations

import unicodedata
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
    """The columns to print, by number, with their widths; ``id_length`` None leaves ids whole.

    If ``is_whole``, titles are not folded either.
    """

    columns: tuple[int, ...]
    widths: tuple[int, ...]
    id_length: int | None = None
    is_whole: bool = False


def text_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fold(text: str, width: int) -> list[str]:
    """Return ``text`` in lines of at most ``width`` columns, cut between words if possible.

    All lines are indented as the first one is.
    """
    words = text.lstrip(" ")
    indent = " " * (len(text) - len(words))
    return [indent + line for line in _fold_words(words, max(width - len(indent), 1))]


def _fold_words(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(joined) <= width:
            lines[-1] = joined
            continue
        pieces = _pieces(word, width)
        lines[-1:] = [lines[-1], *pieces] if lines[-1] else pieces
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Cut a word that is too long, after a hyphen or slash if one is in the second half."""
    pieces = []
    while text_width(word) > width:
        end = next(n for n in range(len(word)) if text_width(word[: n + 1]) > width) or 1
        mark = max(word.rfind(mark, end // 2, end) for mark in "-/")
        end = mark + 1 if mark > 0 else end
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]


def shortened(cell: str, length: int | None) -> str:
    """Return the first characters of an id, any other cell whole."""
    return cell[:length] if isinstance(cell, Id) else cell


def whole_layout(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Layout:
    """Return the layout in which every cell is printed whole, however wide that is."""
    shown = tuple(i for i, column in enumerate(columns) if not column.sum_of)
    widths = (max(len(columns[i].title), *(text_width(row[i]) for row in rows), 0) for i in shown)
    return Layout(shown, tuple(widths), is_whole=True)


def fitting_layout(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, room: int
) -> Layout:
    """Return the layout that shows most within ``room`` columns of a terminal.

    Figures, dates and columns of rank 0 are never given up: where even these are too wide for the
    terminal, the lines are longer than it is.
    """
    layout = whole_layout(columns, rows)
    if _total(layout.widths) <= room:
        return layout
    length = _id_length(rows)
    shown = layout.columns
    while True:
        widths = {i: _widest(columns[i], rows, i, length) for i in shown}
        least = {i: _least(columns[i], widths[i]) for i in shown}
        rest = _next_shown(columns, shown)
        if _total(least.values()) <= room or rest == shown:
            return Layout(shown, _spread(widths, least, room=room), length)
        shown = rest


def _least(column: Column, width: int) -> int:
    return min(width, column.least) if column.kind is Kind.NAME else width


def _total(widths: Iterable[int]) -> int:
    known = tuple(widths)
    return sum(known) + GAP * (len(known) - 1)


def _widest(
    column: Column, rows: Sequence[Sequence[str]], index: int, id_length: int | None
) -> int:
    cells = (text_width(shortened(row[index], id_length)) for row in rows)
    return max(*map(len, title_lines(column)), *cells, 0)


def title_lines(column: Column) -> list[str]:
    """Return the lines of a title in a table that is not whole: a word in each, but for names."""
    return [column.title] if column.kind is Kind.NAME else column.title.split()


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


def _spread(widths: dict[int, int], least: dict[int, int], *, room: int) -> tuple[int, ...]:
    """Give the room that is left to the folded columns, each as much as the others."""
    given, left = dict(least), room - _total(least.values())
    while left > 0 and (hungry := [i for i in widths if given[i] < widths[i]]):
        for i in hungry[:left]:
            given[i] += 1
        left -= min(left, len(hungry))
    return tuple(given.values())
