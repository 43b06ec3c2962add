"""``annals sync status`` and ``annals sync log``: how the agent stands, and what it did."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics.cli.days import days_between
from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.options import AsJson, Since, Wide, example

if TYPE_CHECKING:
    from sync_agent.agent.agent_status import SyncStatus
    from sync_agent.buffer.transaction_log import Row

_SECOND = 1_000_000

Limit = Annotated[int, typer.Option(min=1, help="The newest so many rows.")]


def register(app: typer.Typer) -> None:
    """Add the two commands to ``app``."""
    app.command(**example("annals sync status --json"))(status)
    app.command(**example("annals sync log --limit 50"))(log)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is read, what is pending and which agent runs.

    Needs no running agent: reads the buffer read-only. `synced` are the records that MongoDB has
    or, without a MONGO_URI, every lake; `pending` are the others.
    """
    from analytics.cli.output import print_json
    from sync_agent.agent.agent_status import sync_status

    found = in_force(context, uses=Uses.REPORTS)
    now = sync_status(found.settings)
    if as_json:
        print_json({"sync": _members(now), "sample": found.sample})
    else:
        _show(now)


def log(
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    limit: Limit = 100,
    wide: Wide = False,
) -> None:
    """Show the log of what was read, shipped, refused, pruned.

    The newest row comes last; what repeats itself within a minute shares a row. Days are in UTC.
    JOURNAL_ROWS says how many rows are kept; the JSON has the whole path of each file.
    """
    from analytics.cli.output import print_json
    from sync_agent.agent.agent_status import read_journal

    found = in_force(context, uses=Uses.REPORTS)
    rows = read_journal(
        found.settings, limit=limit, since=_microseconds(days_between(since, None)[0])
    )
    if as_json:
        print_json({"log": [_row_members(row) for row in rows], "sample": found.sample})
    else:
        _show_log(rows, wide=wide)


def moment(microseconds: int | None) -> str | None:
    """Return microseconds since the epoch as ISO 8601 in UTC."""
    from analytics.cli.tables import instant

    if microseconds is None:
        return None
    return instant(datetime.fromtimestamp(microseconds / _SECOND, UTC))


def _microseconds(day: date | None) -> int:
    if day is None:
        return 0
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _SECOND


def _members(now: SyncStatus) -> dict[str, Any]:
    from analytics.cli.output import as_members

    members = {"state": now.state, **as_members(now)}
    for name in ("last_sync_at", "last_read_at", "oldest_pending_at"):
        members[name] = moment(members[name])
    for consumer in members["consumers"]:
        consumer["updated_at"] = moment(consumer["updated_at"])
    return members


def _show(now: SyncStatus) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import count, make_printable, size
    from annals.watching.watcher import WATCHES_REMEDY

    say(f"agent       {now.holder or now.state}")
    if not now.agent_id:
        say("buffer      none yet; `annals sync once` makes it")
        return
    say(f"buffer      {now.agent_id}, {count(now.records)} records, {size(now.buffer_bytes)}")
    files = ", ".join(f"{count(number)} {state}" for state, number in (now.files or {}).items())
    say(f"files       {files or 'none'}, last read {moment(now.last_read_at) or 'never'}")
    say(f"behind      {count(now.files_behind)} files, {count(now.bytes_behind)} bytes to read")
    for file in now.behind:
        say(f"            {count(file.bytes)} bytes of {make_printable(file.path)}")
    if now.folders_polled:
        say(f"polled      {count(now.folders_polled)} folders without a watch; {WATCHES_REMEDY}")
    since = f", the oldest read {moment(now.oldest_pending_at)}" if now.pending else ""
    say(f"pending     {count(now.pending)} records{since}")
    say(f"synced      {count(now.synced)}, last {moment(now.last_sync_at) or 'never'}")
    for consumer in now.consumers:
        say(f"consumer    {make_printable(consumer.name)} waits for {count(consumer.waiting)}")
    say(
        f"not synced  {count(now.quarantined)} quarantined ranges,"
        f" {count(now.dead_letters)} dead letters"
    )


def _row_members(row: Row) -> dict[str, Any]:
    from analytics.cli.output import as_members

    members: dict[str, Any] = as_members(row)
    return {**members, "at": moment(row.at), "until": moment(row.until)}


def _show_log(rows: list[Row], *, wide: bool) -> None:
    from analytics.cli.layout import Column, Kind
    from analytics.cli.output import say
    from analytics.cli.tables import Table, count, show

    if not rows:
        say("nothing is logged")
        return
    cells = [
        (
            moment(row.at) or "",
            row.event,
            Path(row.path or "").name,
            row.detail or "",
            count(row.count),
        )
        for row in rows
    ]
    columns = (
        Column("Time (UTC)", Kind.TEXT),
        Column("Event", Kind.TEXT),
        Column("File", rank=2),
        Column("Detail", rank=1),
        Column("Records", Kind.FIGURE, rank=3),
    )
    show(Table(columns, cells), wide=wide)
