"""``annals sessions list``: the sessions in custody as a table, Markdown, CSV or JSON."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.cli import pages
from analytics.cli.days import current_instant, days_between
from analytics.cli.layout import Column, Id, Kind
from analytics.cli.output import as_members, print_json_rows, say
from analytics.cli.tables import Table, count, instant, show, show_markdown, usd
from analytics.cli.usage_json import print_csv
from analytics.cli.usage_request import require_one_form
from annals.text import one_line
from loaders.warehouse import open_build
from reports.sessions import Session, SessionFilter, SessionList, list_sessions

if TYPE_CHECKING:
    from analytics.cli.effective_settings import InForce
    from analytics.cli.session_options import ListOptions

_LIVE = timedelta(minutes=10)
_COLUMNS = (
    Column("Session"),
    Column("Title", rank=1, least=16),
    Column("Project", rank=4),
    Column("Branch", rank=9),
    Column("Started (UTC)", Kind.TEXT, rank=2),
    Column("Minutes", Kind.FIGURE, rank=6),
    Column("Prompts", Kind.FIGURE, rank=5),
    Column("Errors", Kind.FIGURE, rank=8),
    Column("Tokens", Kind.FIGURE, rank=3),
    Column("Cost", Kind.FIGURE),
)
_LONGEST_TITLE = 60


def answer_list(found: InForce, options: ListOptions) -> None:
    """Read the sessions from the build and print them in the form that was asked for."""
    require_one_form(options)
    first, last = days_between(options.since, options.until)
    now = current_instant()
    wanted = SessionFilter(
        since=first,
        until=last,
        project=options.project,
        branch=options.branch,
        host=options.host,
        model=options.model,
        active_after=now - _LIVE if options.live else None,
    )
    is_whole = options.as_json or options.as_csv
    limit = pages.rows_wanted(options.limit, everything=options.everything, as_json=is_whole)
    with contextlib.closing(open_build(found.settings, with_titles=True)) as build:
        listed = list_sessions(
            build, wanted, sort=options.sort.value, order=options.order.value, limit=limit
        )
        members = (_members(session, now) for session in listed.rows)
        if options.as_json:
            left = pages.rows_left(listed.sessions, limit)
            print_json_rows("sessions", members, {"rows_left_out": left, "sample": found.sample})
        elif options.as_csv:
            names = [one.name for one in fields(Session) if one.name != "cost_nano_usd"]
            print_csv(members, header=dict.fromkeys((*names, "cost_usd", "is_live")))
        else:
            _show(listed, options, limit=limit, now=now)


def _is_live(session: Session, now: datetime) -> bool:
    return session.ended_at is not None and session.ended_at > now - _LIVE


def _members(session: Session, now: datetime) -> dict[str, Any]:
    members = as_members(session)
    del members["cost_nano_usd"]
    return {
        **members,
        "started_at": instant(session.started_at) or None,
        "ended_at": instant(session.ended_at) or None,
        "cost_usd": session.cost_usd,
        "is_live": _is_live(session, now),
    }


def _show(listed: SessionList, options: ListOptions, *, limit: int | None, now: datetime) -> None:
    if not listed.sessions:
        say("no sessions")
        return
    table = Table(_COLUMNS, (_cells(session, now) for session in listed.rows))
    if options.as_markdown:
        show_markdown(table)
    else:
        show(table, wide=options.wide)
    pages.say_rows_left(listed.sessions, limit, of="sessions")


def _cells(session: Session, now: datetime) -> tuple[str, ...]:
    title = one_line(session.title or "")
    shown = title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 3].rstrip()}..."
    return (
        Id(session.session_id),
        f"(live) {shown}" if _is_live(session, now) else shown,
        session.project_name or "",
        session.git_branch or "",
        instant(session.started_at)[:16].replace("T", " "),
        count(session.active_minutes),
        count(session.human_turns),
        count(session.errors),
        count(session.total_tokens),
        usd(session.cost_usd) if session.api_responses else "",
    )
