"""From the options of ``annals usage`` to the question, and from its answer to the output."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from analytics.cli import pages, usage_json
from analytics.cli.days import current_day, days_between
from analytics.cli.options import Order
from analytics.cli.output import print_json_rows, say
from analytics.cli.reports import Form, show_notes, usage_table
from analytics.cli.tables import show, show_markdown
from annals.errors import UsageError
from reports.dimensions import DIMENSIONS, WEEKDAYS, Dimension
from reports.groups import Group, Question, UsageReport, days_of, read_usage
from reports.usage import Figures, Window, build_facts

if TYPE_CHECKING:
    from analytics.cli.effective_settings import InForce
    from analytics.cli.session_options import ListOptions
    from analytics.cli.usage_options import UsageOptions, WindowOptions
    from loaders.warehouse import Connection

DIMENSION_OF = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "session": "session",
    "models": "model",
    "projects": "project",
    "branches": "branch",
    "hosts": "host",
    "tools": "tool",
}
"""The dimension of each report."""

_KEYS = {"session": "sessions"}
_KEYS_OF_ALL = {"session": "session"}
_BY_TWO = "usage"
_MOST_DIMENSIONS = 2


def answer_usage(build: Connection, found: InForce, report: str, options: UsageOptions) -> None:
    """Read a report from the build and print it in the form that was asked for."""
    require_one_form(options)
    by = _dimensions(report, options.by)
    question = _question(by, options, options.timezone or found.settings.timezone)
    answer = read_usage(build, question)
    dimensions = question.dimensions
    if options.as_json:
        key = _list_key(report, by, is_all=options.json_shape == "all")
        _print_json(build, found, key, answer, question, is_all=options.json_shape == "all")
    elif options.as_csv:
        rows = (usage_json.group_members(group, dimensions) for group in answer.rows)
        header = usage_json.group_members(_nothing(dimensions), dimensions)
        usage_json.print_csv(rows, header=header, breakdown=options.breakdown)
    else:
        form = Form(dimensions, breakdown=options.breakdown, compact=options.compact)
        _show(build, answer, form, question, options)


def require_one_form(options: WindowOptions | ListOptions) -> None:
    """Raise UsageError where two of ``--json``, ``--csv`` and ``--md`` are given."""
    if options.as_json + options.as_csv + options.as_markdown > 1:
        raise UsageError("--json, --csv and --md exclude each other", hint="Give one of them.")


def window_of(options: WindowOptions, timezone: str) -> Window:
    """Return the window that the options name; raises UsageError for days in the wrong order."""
    since, until = days_between(options.since, options.until, timezone=timezone)
    return Window(timezone, since, until, options.project, options.host, options.model)


def window_members(window: Window, build: Connection, found: InForce) -> dict[str, Any]:
    """Return which responses a report counts, and of which build, as members."""
    return {
        "timezone": window.timezone,
        "since": window.since,
        "until": window.until,
        "project": window.project,
        "host": window.host,
        "model": window.model,
        "build": build_facts(build),
        "sample": found.sample,
    }


def say_no_usage(build: Connection) -> None:
    """Print that a report is empty, and what to do about it."""
    first, last = days_of(build)
    say("no usage in this window")
    if first is None:
        say("-> Run `annals pipeline`, which reads the transcripts below CLAUDE_DIR.")
    else:
        say(f"-> Choose days from {first} to {last}, or leave out a filter.")


def _question(by: tuple[str, ...], options: UsageOptions, timezone: str) -> Question:
    is_time = DIMENSIONS[by[0]].is_time
    sort = options.sort or ("name" if is_time else "cost")
    order = options.order or (Order.ASC if sort == "name" else Order.DESC)
    is_whole = is_time or options.as_csv or options.as_json
    limit = pages.rows_wanted(options.limit, everything=options.everything, as_json=is_whole)
    window = window_of(options, timezone)
    if options.last is not None:
        window = _last(window, options, by[0])
    return Question(
        window, by, str(sort), order is Order.DESC, limit, week_start=str(options.start_of_week)
    )


def _last(window: Window, options: UsageOptions, dimension: str) -> Window:
    """Return the window of the newest periods, which end today."""
    if options.since or options.until:
        raise UsageError(
            "--last and --since or --until exclude each other", hint="Give one of them."
        )
    today = current_day(window.timezone)
    start = _start_of(today, dimension, str(options.start_of_week))
    periods = (options.last or 1) - 1
    try:
        if dimension == "month":
            months = start.year * 12 + start.month - 1 - periods
            first = date(months // 12, months % 12 + 1, 1)
        else:
            first = start - timedelta(days=periods * (7 if dimension == "week" else 1))
    except (ValueError, OverflowError):
        first = date.min
    return Window(window.timezone, first, today, window.project, window.host, window.model)


def _start_of(today: date, dimension: str, week_start: str) -> date:
    if dimension == "month":
        return today.replace(day=1)
    if dimension == "week":
        return today - timedelta(days=(today.isoweekday() - WEEKDAYS.index(week_start)) % 7)
    return today


def _dimensions(report: str, by: str | None) -> tuple[str, ...]:
    own = DIMENSION_OF[report]
    named = tuple(name.strip().lower() for name in by.split(",")) if by else ()
    names = named if len(named) == _MOST_DIMENSIONS else (own, *named)
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or len(names) > _MOST_DIMENSIONS or len(set(names)) < len(names):
        says = f"{unknown[0]!r} is not a dimension" if unknown else f"--by {by} is not possible"
        raise UsageError(
            says,
            hint=f"Give one or two different ones of {', '.join(DIMENSIONS)}: --by day,project.",
        )
    return names


def _list_key(report: str, by: tuple[str, ...], *, is_all: bool) -> str:
    if by != (DIMENSION_OF[report],):
        return _BY_TWO
    return (_KEYS_OF_ALL if is_all else _KEYS).get(report, report)


def _print_json(
    build: Connection,
    found: InForce,
    key: str,
    report: UsageReport,
    question: Question,
    *,
    is_all: bool,
) -> None:
    """Print the report a row at a time; totals and quality are of all rows."""
    members = usage_json.group_members_of_all if is_all else usage_json.group_members
    rows = (members(group, question.dimensions) for group in report.rows)
    rest = {
        "rowsLeftOut": pages.rows_left(report.groups, question.limit),
        **usage_json.report_members(report.models),
        **window_members(question.window, build, found),
    }
    print_json_rows(key, rows, rest)


def _show(
    build: Connection, report: UsageReport, form: Form, question: Question, options: UsageOptions
) -> None:
    table = usage_table(report, form)
    if options.as_markdown:
        show_markdown(table)
        return
    show(table, wide=options.wide)
    if not report.groups:
        say_no_usage(build)
        return
    pages.say_rows_left(report.groups, question.limit, of=_plural(question.by))
    show_notes(report.models)


def _plural(by: tuple[str, ...]) -> str:
    return "rows" if len(by) > 1 else {"branch": "branches"}.get(by[0], f"{by[0]}s")


def _nothing(dimensions: Sequence[Dimension]) -> Group:
    """Return an empty group, for the header of CSV."""
    details = {name: None for name, _ in dimensions[0].details}
    return Group((None,) * len(dimensions), details, Figures(), ())
