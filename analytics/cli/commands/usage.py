"""``annals usage``: tokens and money by day, session or model."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from analytics.cli import pages
from analytics.cli.days import Period, days_between
from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.options import (
    AsJson,
    Order,
    Ordered,
    Project,
    Since,
    Timezone,
    Until,
    Wide,
    command_group,
    example,
)

app = command_group(
    "Tokens and money by day, session or model.", sample="annals usage daily --json"
)

Breakdown = Annotated[
    bool, typer.Option("--breakdown", "-b", help="A row for each model below its day or session.")
]


@app.command(**example("annals usage daily --since 20260101 --json"))
def daily(  # noqa: PLR0917 -- one for each option
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = None,
    project: Project = None,
    order: Ordered = Order.ASC,
    wide: Wide = False,
    breakdown: Breakdown = False,
) -> None:
    """Show usage by day; the JSON has the keys of ccusage."""
    days = (since, until)
    report = _Request(context, days=days, timezone=timezone, project=project, order=order)
    report.answer("daily", as_json=as_json, breakdown=breakdown, wide=wide)


@app.command(**example("annals usage session --project my-project --order asc"))
def session(  # noqa: PLR0917 -- one for each option
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = None,
    project: Project = None,
    order: Ordered = Order.DESC,
    wide: Wide = False,
    breakdown: Breakdown = False,
    limit: pages.Limit = None,
    everything: pages.All = False,
) -> None:
    """Show usage by the session that is charged, by cost.

    The JSON has the keys of ccusage. Totals are of all sessions, also where only a page of them is
    shown.
    """
    wanted = pages.rows_wanted(limit, everything=everything, as_json=as_json)
    days = (since, until)
    report = _Request(context, days=days, timezone=timezone, project=project, order=order)
    report.answer("sessions", as_json=as_json, breakdown=breakdown, limit=wanted, wide=wide)


@app.command(**example("annals usage models --since 20260101"))
def models(
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = None,
    project: Project = None,
    order: Ordered = Order.DESC,
    wide: Wide = False,
) -> None:
    """Show usage by model, by cost."""
    days = (since, until)
    report = _Request(context, days=days, timezone=timezone, project=project, order=order)
    report.answer("models", as_json=as_json, breakdown=False, wide=wide)


class _Request:
    """What all usage reports are asked for."""

    def __init__(
        self,
        context: typer.Context,
        *,
        days: tuple[Period | None, Period | None],
        timezone: str | None,
        project: str | None,
        order: Order,
    ) -> None:
        from reports.usage import Window

        self._found = in_force(context, uses=Uses.REPORTS)
        self._order = order
        zone = timezone or self._found.settings.timezone
        self._window = Window(zone, *days_between(*days, timezone=zone), project)

    def answer(
        self, name: str, *, as_json: bool, breakdown: bool, wide: bool, limit: int | None = None
    ) -> None:
        """Read the report ``name`` from the published build and print it."""
        from analytics.cli import reports
        from loaders.warehouse import open_build
        from reports.usage import build_facts

        report, is_ascending = reports.REPORTS[name], self._order is Order.ASC
        with contextlib.closing(open_build(self._found.settings)) as build:
            facts = build_facts(build)
            page = report.read(build, self._window, is_ascending, limit)
            if as_json:
                reports.print_usage(
                    report, page, window=self._window, facts=facts, sample=self._found.sample
                )
            else:
                reports.show_usage(report, page, breakdown=breakdown, limit=limit, wide=wide)
