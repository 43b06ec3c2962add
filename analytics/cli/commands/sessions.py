"""``annals sessions``: the conversations in custody."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics.cli import pages
from analytics.cli.days import days_between
from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.option_sets import command_with
from analytics.cli.options import (
    AsJson,
    Order,
    Ordered,
    Project,
    Since,
    Until,
    Wide,
    command_group,
    example,
)
from analytics.cli.session_options import SessionId, ShowOptions

if TYPE_CHECKING:
    from reports.sessions import Session, SessionList

app = command_group("The conversations in custody.", sample="annals sessions list")


@app.command("list", **example("annals sessions list --since 20260101 --limit 20"))
def list_(  # noqa: PLR0917 -- one for each option
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    until: Until = None,
    project: Project = None,
    order: Ordered = Order.DESC,
    wide: Wide = False,
    limit: pages.Limit = None,
    everything: pages.All = False,
) -> None:
    """List the sessions, the newest first; days are in UTC."""
    from analytics.cli.output import print_json_rows
    from loaders.warehouse import open_build
    from reports.sessions import list_sessions

    first, last = days_between(since, until)
    wanted = pages.rows_wanted(limit, everything=everything, as_json=as_json)
    found = in_force(context, uses=Uses.REPORTS)
    with contextlib.closing(open_build(found.settings)) as build:
        listed = list_sessions(
            build, since=first, until=last, project=project, order=order.value, limit=wanted
        )
        if as_json:
            members = map(_members, listed.rows)
            left = pages.rows_left(listed.sessions, wanted)
            print_json_rows("sessions", members, {"rows_left_out": left, "sample": found.sample})
        else:
            _show(listed, limit=wanted, wide=wide)


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


def _show(listed: SessionList, *, limit: int | None, wide: bool) -> None:
    from analytics.cli.layout import Column, Kind
    from analytics.cli.output import say
    from analytics.cli.tables import Table, show

    if not listed.sessions:
        say("no sessions")
        return
    columns = (
        Column("Session"),
        Column("Project", rank=2),
        Column("Started (UTC)", Kind.TEXT, rank=1),
        Column("Turns", Kind.FIGURE, rank=3),
        Column("Responses", Kind.FIGURE, rank=4),
        Column("Tokens", Kind.FIGURE),
        Column("Cost", Kind.FIGURE),
    )
    show(Table(columns, map(_cells, listed.rows)), wide=wide)
    pages.say_rows_left(listed.sessions, limit, of="sessions")


def _cells(session: Session) -> tuple[str, ...]:
    from analytics.cli.layout import Id
    from analytics.cli.tables import count, instant, usd

    return (
        Id(session.session_id),
        session.project_name or "",
        instant(session.started_at)[:16].replace("T", " "),
        count(session.human_turns),
        count(session.api_responses),
        count(session.total_tokens),
        usd(session.cost_usd) if session.api_responses else "",
    )


def show(context: typer.Context, options: ShowOptions) -> None:
    """Print a conversation: what was said, and which tools ran.

    It is read from what is in custody, deleted or not. On a terminal it goes through the pager.
    """
    from analytics.cli.session_page import show_session

    show_session(in_force(context, uses=Uses.REPORTS), options)


app.command("show", help=show.__doc__, **example("annals sessions show 12ac4d46 --subagents"))(
    command_with(ShowOptions, show)
)


@app.command(**example("annals sessions restore 12ac4d46 --dry-run"))
def restore(
    context: typer.Context,
    session: SessionId,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Write below this folder instead."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map", metavar="FROM=TO", help="Replace the beginning of a path of another machine."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be restored, and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a deleted transcript back, byte for byte.

    Its main file and those of its subagents return to their place, with mode 0600. A file that is
    there is never changed: exit code 8 if it has other content. Exit code 6: not every byte is
    proven; the output says which.
    """
    from analytics.cli.kept_report import restore_session

    found = in_force(context, uses=Uses.REPORTS)
    code = restore_session(
        found, session, folder=to, mapping=mapping, is_dry=dry_run, as_json=as_json
    )
    raise typer.Exit(code)


@app.command(**example("annals sessions export 12ac4d46 > session.jsonl"))
def export(context: typer.Context, session: SessionId) -> None:
    """Print a transcript with its own bytes, deleted or not.

    It is the main file of the session; `restore --to FOLDER` writes those of its subagents too.
    """
    from analytics.cli.kept_report import export_session

    found = in_force(context, uses=Uses.REPORTS)
    raise typer.Exit(export_session(found, session))
