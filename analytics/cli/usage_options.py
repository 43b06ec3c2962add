"""The options of the usage reports, described once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from analytics.cli import pages
from analytics.cli.options import (
    AsCsv,
    AsJson,
    AsMarkdown,
    Host,
    Order,
    Project,
    Since,
    Timezone,
    Until,
    Wide,
)


class Sort(StrEnum):
    """What the rows of a report are sorted by."""

    NAME = "name"
    COST = "cost"
    TOKENS = "tokens"
    OUTPUT = "output"
    RESPONSES = "responses"


class JsonShape(StrEnum):
    """Which JSON of ccusage a report has."""

    CLAUDE = "claude"
    ALL = "all"


class Weekday(StrEnum):
    """The day on which weeks begin."""

    SUNDAY = "sunday"
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOptions:
    """Which responses a report counts, and in which form it is printed."""

    since: Since = None
    until: Until = None
    timezone: Timezone = None
    project: Project = None
    host: Host = None
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Only this model, or a part of names."),
    ] = None
    as_json: AsJson = False
    as_csv: AsCsv = False
    as_markdown: AsMarkdown = False
    wide: Wide = False
    compact: Annotated[
        bool, typer.Option("--compact", help="Only the total of tokens, and the cost.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOptions(WindowOptions):
    """The options of the reports that group usage."""

    last: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only the newest N days, weeks or months; 1 is today, this week, this month.",
        ),
    ] = None
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="A[,B]",
            help="Group by one more of day, week, month, session, model, project, branch, host,"
            " tool, or by two of them instead.",
        ),
    ] = None
    breakdown: Annotated[
        bool, typer.Option("--breakdown", "-b", help="A row for each model below its group.")
    ] = False
    sort: Annotated[
        Sort | None,
        typer.Option("--sort", help="Sort by; default name for days, weeks, months, else cost."),
    ] = None
    order: Annotated[
        Order | None,
        typer.Option("--order", "-o", help="Order of rows; default asc by name, else desc."),
    ] = None
    limit: pages.Limit = None
    everything: pages.All = False
    start_of_week: Annotated[
        Weekday, typer.Option("--start-of-week", help="The day on which weeks begin.")
    ] = Weekday.SUNDAY
    json_shape: Annotated[
        JsonShape,
        typer.Option(
            "--json-shape", help="JSON as `ccusage claude daily` (claude) or `ccusage daily` (all)."
        ),
    ] = JsonShape.CLAUDE


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOptions(WindowOptions):
    """The options of the report of five-hour blocks."""

    active: Annotated[
        bool, typer.Option("--active", "-a", help="Only the active block, with its projection.")
    ] = False
    recent: Annotated[
        bool, typer.Option("--recent", "-r", help="Only blocks of the last 3 days.")
    ] = False
    token_limit: Annotated[
        str | None,
        typer.Option(
            "--token-limit",
            "-t",
            metavar="N|max",
            help="Warn near so many tokens in a block; max: the largest block so far.",
        ),
    ] = None
    order: Annotated[Order, typer.Option("--order", "-o", help="Order of the blocks.")] = Order.ASC
