"""``annals sessions``: the conversations in custody."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics.cli.inforce import Uses, in_force
from analytics.cli.options import AsJson, Order, Ordered, Project, Since, Until, example

if TYPE_CHECKING:
    from loaders.sessions import Session

app = typer.Typer(
    help="The conversations in custody.", rich_markup_mode=None, **example("annals sessions list")
)

Limit = Annotated[int | None, typer.Option(min=1, help="At most so many; default all.")]


@app.callback()
def group() -> None:
    """Look at the conversations in custody."""


@app.command("list", **example("annals sessions list --since 20260101 --limit 20"))
def list_(
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    until: Until = None,
    project: Project = None,
    order: Ordered = Order.DESC,
    limit: Limit = None,
) -> None:
    """List the sessions, the newest first; days are in UTC."""
    from analytics.cli.output import print_json
    from loaders.sessions import list_sessions
    from loaders.warehouse import open_build

    found = in_force(context, uses=Uses.REPORTS)
    with contextlib.closing(open_build(found.settings)) as build:
        sessions = list_sessions(
            build, since=since, until=until, project=project, order=order.value, limit=limit
        )
    if as_json:
        print_json({"sessions": [_members(item) for item in sessions], "sample": found.sample})
    else:
        _show(sessions)


def _members(session: Session) -> dict[str, Any]:
    from analytics.cli.output import as_members
    from analytics.cli.tables import instant

    members = as_members(session)
    del members["cost_nano_usd"]
    return {
        **members,
        "started_at": instant(session.started_at) or None,
        "ended_at": instant(session.ended_at) or None,
        "cost_usd": session.cost_usd,
    }


def _show(sessions: Sequence[Session]) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import Table, count, instant, show, usd

    if not sessions:
        say("no sessions")
        return
    rows = [
        (
            session.session_id,
            session.project_name or "",
            instant(session.started_at)[:16].replace("T", " "),
            count(session.human_turns),
            count(session.api_responses),
            count(session.total_tokens),
            usd(session.cost_usd) if session.api_responses else "",
        )
        for session in sessions
    ]
    columns = ("Session", "Project", "Started (UTC)", "Turns", "Responses", "Tokens", "Cost")
    show(Table(columns, rows, text_columns=3))
