"""Usage reports as tables, for a terminal, a pipe or a page in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.cli.layout import Column, Id, Kind
from analytics.cli.output import say
from analytics.cli.tables import Table, count, show, terminal_room, usd
from analytics.cli.usage_json import UNDATED, partial_share, unpriced_models
from reports import usage
from reports.dimensions import Dimension
from reports.groups import Group, UsageReport
from reports.usage import Figures, ModelUsage

_TOKEN_TITLES = ("Input", "Output", "Cache write", "Cache read")
FIGURE_COLUMNS = (
    *(Column(title, Kind.FIGURE, rank=1, part_of="tokens") for title in _TOKEN_TITLES),
    Column("Tokens", Kind.FIGURE, sum_of="tokens"),
    Column("Cost", Kind.FIGURE),
)
COMPACT_COLUMNS = (Column("Tokens", Kind.FIGURE), Column("Cost", Kind.FIGURE))
_LEAST_ROOM_BY_MODEL = 60
_UNKNOWN = "unknown"
_LEAST_MODEL = 24


@dataclass(frozen=True, slots=True)
class Form:
    """How a report is laid out: its dimensions, and what the reader asked for."""

    dimensions: tuple[Dimension, ...]
    breakdown: bool = False
    compact: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table."""
        return (*_text_columns(self.dimensions), *self.figure_columns)

    @property
    def figure_columns(self) -> tuple[Column, ...]:
        """The columns of tokens and cost."""
        return COMPACT_COLUMNS if self.compact else FIGURE_COLUMNS

    def figures(self, figures: Figures) -> tuple[str, ...]:
        """Return the cells of tokens and cost."""
        cells = figure_cells(figures)
        return cells[-2:] if self.compact else cells


def usage_table(report: UsageReport, form: Form) -> Table:
    """Return the rows of the report and their totals, which are of all rows there are."""
    totals = usage.total(model.figures for model in report.models)
    blanks = [""] * (len(_text_columns(form.dimensions)) - 1)
    footer = ("Total", *blanks, *form.figures(totals))
    lines = (line for group in report.rows for line in _lines(group, form))
    return Table(form.columns, lines, footer=footer if report.groups else None)


def _lines(group: Group, form: Form) -> Iterator[tuple[str, ...]]:
    texts = _text_cells(group, form.dimensions)
    yield (*texts, *form.figures(group.figures))
    if form.breakdown and not _has_model(form.dimensions):
        blank = [""] * (len(texts) - 1)
        for model in group.models:
            yield (f"  {model.model_id}", *blank, *form.figures(model.figures))


def _has_model(dimensions: Sequence[Dimension]) -> bool:
    return any(one.name == "model" for one in dimensions)


def _names_models(dimensions: Sequence[Dimension]) -> bool:
    """Return whether a row is narrow enough in meaning that it has few models."""
    is_narrow = dimensions[0].is_time or dimensions[0].name == "session"
    return is_narrow and not _has_model(dimensions)


def _text_columns(dimensions: Sequence[Dimension]) -> tuple[Column, ...]:
    columns = [
        Column(one.title, least=_LEAST_MODEL) if one.name == "model" else Column(one.title)
        for one in dimensions
    ]
    first = dimensions[0].name
    if first == "session":
        columns.append(Column("Last day (UTC)", Kind.TEXT, rank=2))
    if first == "tool":
        columns.append(Column("Calls", Kind.FIGURE, rank=2))
        columns.append(Column("Errors", Kind.FIGURE, rank=3))
    if _names_models(dimensions):
        columns.append(Column("Models", rank=3))
    return tuple(columns)


def _text_cells(group: Group, dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    cells = [_cell(one, value) for one, value in zip(dimensions, group.keys, strict=True)]
    first = dimensions[0].name
    if first == "session":
        last = group.details["last_activity"]
        cells.append(last.date().isoformat() if last else UNDATED)
    if first == "tool":
        cells += [count(group.details["calls"]), count(group.details["errors"])]
    if _names_models(dimensions):
        cells.append(_names(group.models))
    return tuple(cells)


def _cell(dimension: Dimension, value: Any) -> str:
    if dimension.name == "session":
        return Id(value)
    if value is None:
        return UNDATED if dimension.is_time else _UNKNOWN
    return str(value)


def show_days_by_model(days: Sequence[Group], *, newest: int) -> None:
    """Print a row for each of the ``newest`` days and model, one for the others, and the totals.

    A terminal without room for models gets a row for each day.
    """
    earlier, shown = days[:-newest], days[-newest:]
    if sys.stdout.isatty() and terminal_room() < _LEAST_ROOM_BY_MODEL:
        lines = [(_day(day), "", *figure_cells(day.figures)) for day in shown]
    else:
        lines = [
            (_day(day), model.model_id, *figure_cells(model.figures))
            for day in shown
            for model in day.models
        ]
    if earlier:
        sums = usage.total(day.figures for day in earlier)
        lines.insert(0, ("earlier", f"{len(earlier)} days", *figure_cells(sums)))
    footer = ("Total", "", *figure_cells(usage.total(day.figures for day in days)))
    columns = (Column("Day"), Column("Model", rank=2), *FIGURE_COLUMNS)
    show(Table(columns, lines, footer=footer))
    show_notes(model for day in days for model in day.models)


def show_notes(models: Iterable[ModelUsage]) -> None:
    """Print what a reader of the figures has to know: the partial and the unpriced share."""
    parts = tuple(models)
    totals = usage.total(part.figures for part in parts)
    if totals.partial_responses:
        say(
            f"partial: {count(totals.partial_responses)} of {count(totals.responses)} responses"
            f" ({partial_share(totals):.0%} of output) never ended;"
            " output may be larger"
        )
    if totals.unpriced_responses:
        say(
            f"unpriced: {count(totals.unpriced_responses)} responses,"
            f" {count(totals.unpriced_tokens)} tokens, in no cost:"
            f" {', '.join(unpriced_models(parts))}"
        )


def figure_cells(figures: Figures) -> tuple[str, ...]:
    """Return the cells of tokens by kind, all tokens, and cost."""
    return (
        count(figures.input_tokens),
        count(figures.output_tokens),
        count(figures.cache_write_tokens),
        count(figures.cache_read_tokens),
        count(figures.total_tokens),
        usd(figures.cost_usd),
    )


def _day(group: Group) -> str:
    (day,) = group.keys
    return str(day) if day else UNDATED


def _names(models: Sequence[ModelUsage]) -> str:
    return ", ".join(sorted(model.model_id for model in models))
