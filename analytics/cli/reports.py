"""Usage reports as tables and as JSON with the keys of ccusage 20.

Where ccusage has no key, ours is added beside its own: ``quality`` in every row and at the top
says how much is partial or has no price. A cost is null where nothing in it has a price.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.cli.layout import Column, Id, Kind
from analytics.cli.output import print_json_rows, say
from analytics.cli.pages import say_rows_left
from analytics.cli.tables import Table, count, instant, show, terminal_room, usd
from loaders.warehouse import Connection
from reports import usage
from reports.session_usage import read_sessions
from reports.usage import DailyUsage, Figures, ModelUsage, SessionUsage, Window

_TOKEN_TITLES = ("Input", "Output", "Cache write", "Cache read")
_FIGURE_COLUMNS = (
    *(Column(title, Kind.FIGURE, rank=1, part_of="tokens") for title in _TOKEN_TITLES),
    Column("Tokens", Kind.FIGURE, sum_of="tokens"),
    Column("Cost", Kind.FIGURE),
)
_LEAST_ROOM_BY_MODEL = 60

Row = DailyUsage | SessionUsage | ModelUsage


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one report, read once; ``rows_in_all`` and ``models`` are of all there are."""

    rows: Iterable[Row]
    rows_in_all: int
    models: tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One report: how it is read, and how a row becomes JSON members or cells of a table.

    ``key`` is the name of the list in the JSON; ``read`` returns at most ``limit`` rows, ascending
    or not.
    """

    key: str
    columns: tuple[Column, ...]
    read: Callable[[Connection, Window, bool, int | None], Page]
    members: Callable[[Any], dict[str, Any]]
    cells: Callable[[Any], tuple[str, ...]]


def print_usage(
    report: Report, page: Page, *, window: Window, facts: dict[str, str], sample: bool
) -> None:
    """Print the report as JSON, a row at a time; totals and quality are of all rows."""
    totals = usage.total(model.figures for model in page.models)
    print_json_rows(
        report.key,
        map(report.members, page.rows),
        {
            "totals": _sums(totals),
            "quality": {**_quality(totals), "unpricedModels": _unpriced_models(page.models)},
            "timezone": window.timezone,
            "since": window.since,
            "until": window.until,
            "project": window.project,
            "build": facts,
            "sample": sample,
        },
    )


def show_usage(
    report: Report, page: Page, *, breakdown: bool, limit: int | None, wide: bool
) -> None:
    """Print the report as a table, with notes on what is partial or has no price."""
    if not page.rows_in_all:
        say("no usage in this window")
        return
    totals = usage.total(model.figures for model in page.models)
    text_columns = len(report.columns)
    footer = ("Total", *[""] * (text_columns - 1), *_figures(totals))
    lines = (line for row in page.rows for line in _lines(report, row, breakdown=breakdown))
    columns = (*report.columns, *_FIGURE_COLUMNS)
    show(Table(columns, lines, footer=footer), wide=wide)
    say_rows_left(page.rows_in_all, limit, of=report.key)
    show_notes(page.models)


def show_days_by_model(days: Sequence[DailyUsage], *, newest: int) -> None:
    """Print a row for each of the ``newest`` days and model, one for the others, and the totals.

    A terminal without room for models gets a row for each day.
    """
    earlier, shown = days[:-newest], days[-newest:]
    if sys.stdout.isatty() and terminal_room() < _LEAST_ROOM_BY_MODEL:
        lines = [(_day(day), "", *_figures(day.figures)) for day in shown]
    else:
        lines = [
            (_day(day), model.model_id, *_figures(model.figures))
            for day in shown
            for model in day.models
        ]
    if earlier:
        sums = usage.total(day.figures for day in earlier)
        lines.insert(0, ("earlier", f"{len(earlier)} days", *_figures(sums)))
    footer = ("Total", "", *_figures(usage.total(day.figures for day in days)))
    columns = (Column("Day"), Column("Model", rank=2), *_FIGURE_COLUMNS)
    show(Table(columns, lines, footer=footer))
    show_notes(model for day in days for model in day.models)


def show_notes(models: Iterable[ModelUsage]) -> None:
    """Print what a reader of the figures has to know: the partial and the unpriced share."""
    parts = tuple(models)
    totals = usage.total(part.figures for part in parts)
    if totals.partial_responses:
        say(
            f"partial: {count(totals.partial_responses)} of {count(totals.responses)} responses"
            f" ({_share(totals):.0%} of output) never ended;"
            " output may be larger"
        )
    if totals.unpriced_responses:
        say(
            f"unpriced: {count(totals.unpriced_responses)} responses,"
            f" {count(totals.unpriced_tokens)} tokens, in no cost:"
            f" {', '.join(_unpriced_models(parts))}"
        )


def _lines(report: Report, row: Row, *, breakdown: bool) -> Iterator[tuple[str, ...]]:
    yield (*report.cells(row), *_figures(row.figures))
    if breakdown and not isinstance(row, ModelUsage):
        blank = [""] * (len(report.columns) - 1)
        for model in row.models:
            yield (f"  {model.model_id}", *blank, *_figures(model.figures))


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        count(figures.input_tokens),
        count(figures.output_tokens),
        count(figures.cache_write_tokens),
        count(figures.cache_read_tokens),
        count(figures.total_tokens),
        usd(figures.cost_usd),
    )


def _tokens(figures: Figures) -> dict[str, Any]:
    return {
        "inputTokens": figures.input_tokens,
        "outputTokens": figures.output_tokens,
        "cacheCreationTokens": figures.cache_write_tokens,
        "cacheReadTokens": figures.cache_read_tokens,
    }


def _sums(figures: Figures) -> dict[str, Any]:
    return {
        **_tokens(figures),
        "totalTokens": figures.total_tokens,
        "totalCost": figures.cost_usd,
    }


def _quality(figures: Figures) -> dict[str, Any]:
    return {
        "responses": figures.responses,
        "partialResponses": figures.partial_responses,
        "partialOutputTokens": figures.partial_output_tokens,
        "partialOutputShare": round(_share(figures), 6),
        "unpricedResponses": figures.unpriced_responses,
        "unpricedTokens": figures.unpriced_tokens,
    }


def _share(figures: Figures) -> float:
    return figures.partial_output_tokens / figures.output_tokens if figures.output_tokens else 0.0


def _unpriced_models(models: Iterable[ModelUsage]) -> list[str]:
    return sorted({m.model_id for m in models if m.figures.unpriced_responses})


def _breakdown(models: Sequence[ModelUsage]) -> dict[str, Any]:
    return {
        "modelsUsed": sorted(model.model_id for model in models),
        "modelBreakdowns": [
            {
                "modelName": model.model_id,
                **_tokens(model.figures),
                "cost": model.figures.cost_usd,
            }
            for model in models
        ],
    }


def _daily_members(row: DailyUsage) -> dict[str, Any]:
    return {
        "date": _day(row),
        **_sums(row.figures),
        **_breakdown(row.models),
        "quality": _quality(row.figures),
    }


def _session_members(row: SessionUsage) -> dict[str, Any]:
    return {
        "sessionId": row.session_id,
        "projectPath": row.project_path,
        **_sums(row.figures),
        "firstActivity": instant(row.first_activity),
        "lastActivity": instant(row.last_activity),
        **_breakdown(row.models),
        "quality": _quality(row.figures),
    }


def _model_members(row: ModelUsage) -> dict[str, Any]:
    return {
        "modelName": row.model_id,
        **_sums(row.figures),
        "quality": _quality(row.figures),
    }


def _day(row: DailyUsage) -> str:
    return row.day.isoformat() if row.day else "undated"


def _names(models: Sequence[ModelUsage]) -> str:
    return ", ".join(sorted(model.model_id for model in models))


def _days(build: Connection, window: Window, ascending: bool, limit: int | None) -> Page:
    days = usage.daily(build, window)
    rows = days if ascending else days[::-1]
    return Page(rows[:limit], len(days), tuple(model for day in days for model in day.models))


def _sessions(build: Connection, window: Window, ascending: bool, limit: int | None) -> Page:
    report = read_sessions(build, window, ascending=ascending, limit=limit)
    return Page(report.rows, report.sessions, report.models)


def _by_model(build: Connection, window: Window, ascending: bool, limit: int | None) -> Page:
    models = usage.models(build, window)
    return Page((models[::-1] if ascending else models)[:limit], len(models), models)


REPORTS = {
    report.key: report
    for report in (
        Report(
            "daily",
            (Column("Day"), Column("Models", rank=3)),
            read=_days,
            members=_daily_members,
            cells=lambda row: (_day(row), _names(row.models)),
        ),
        Report(
            "sessions",
            (
                Column("Session"),
                Column("Last day (UTC)", Kind.TEXT, rank=2),
                Column("Models", rank=3),
            ),
            read=_sessions,
            members=_session_members,
            cells=lambda row: (
                Id(row.session_id),
                row.last_activity.date().isoformat(),
                _names(row.models),
            ),
        ),
        Report(
            "models",
            (Column("Model", least=24),),
            read=_by_model,
            members=_model_members,
            cells=lambda row: (row.model_id,),
        ),
    )
}
"""The usage reports by the name of their list in the JSON."""
