"""``annals status``: where everything stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.options import AsJson, example
from analytics.cli.output import say

if TYPE_CHECKING:
    from flows.status import Status

_WAITING = {
    "bytes": "bytes on disk to read",
    "records": "records to take into the lake",
    "snapshots": "snapshots of the lake to load",
    "sessions": "sessions to rebuild",
    "builds": "builds to publish",
}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals status --json"))(status)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the last run, the backlog and the running processes."""
    from analytics.cli.output import as_members, print_json
    from flows.status import status as look

    found = in_force(context, uses=Uses.REPORTS)
    now = look(found.settings)
    if as_json:
        print_json({**as_members(now), "sample": found.sample})
        return
    _show_runs(now)
    _show_parts(now)
    _show_lag(now)
    _show_destinations(now)


def _show_runs(now: Status) -> None:
    run = now.last_run
    if run is None:
        say("last run    none yet; `annals pipeline` makes the first")
    else:
        said = f": {run.get('message')}" if run.get("message") else ""
        say(
            f"last run    {run.get('command')} at {run.get('started_at')},"
            f" {run.get('seconds')} s, {run.get('outcome')}{said}"
        )
    for name, holder in now.holders.items():
        if holder:
            say(f"active     {name}: {holder}")
    for one in now.services:
        again = f", started again {one.restarts} times" if one.restarts else ""
        say(f"service     {one.name}: {one.state}{again}")


def _show_parts(now: Status) -> None:
    from analytics.cli.custody import show_places, show_vanished
    from analytics.cli.tables import count, make_printable, size

    if now.custody:
        kept = now.custody
        say(f"custody     {count(kept.files)} files, {count(kept.bytes_on_disk)} bytes on disk")
        show_vanished(kept)
        show_places(kept)
    _show_expiry(now)
    if now.buffer:
        held = now.buffer
        say(f"buffer      {count(held.records)} records held, {size(held.file_bytes)}")
    if now.lake:
        lake = now.lake
        say(f"lake        {count(lake.rows)} rows, {size(lake.bytes)}, {lake.snapshots} snapshots")
    if now.warehouse:
        say(f"warehouse   {size(now.warehouse.file_bytes)}")
    if now.build:
        say(f"build       {now.build['build_id']}, prices {now.build.get('price_version')}")
    for name, holder in now.in_use.items():
        say(f"{name:<12}in use by {make_printable(holder)}")
    for name, why in now.unreadable.items():
        say(f"{name:<12}cannot be read: {make_printable(why)}")


def _show_expiry(now: Status) -> None:
    from analytics.cli.tables import count

    if now.expiry and now.expiry.due:
        due, days = count(now.expiry.due), now.expiry.first_days
        say(f"due         {due} files are deleted by the agent within 7 days, the first in {days}")


def _show_lag(now: Status) -> None:
    from analytics.cli.tables import count

    waiting = [f"{count(number)} {_WAITING[name]}" for name, number in now.lag.items() if number]
    if not now.in_use:
        say(f"waiting     {', '.join(waiting) or 'nothing'}")


def _show_destinations(now: Status) -> None:
    from analytics.cli.tables import make_printable

    for one in now.destinations:
        say(f"data goes to {make_printable(str(one))}")
    if not now.destinations:
        say("data goes to nowhere else: all of it stays in files of this machine")
