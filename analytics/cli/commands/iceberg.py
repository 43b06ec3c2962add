"""``annals iceberg``: the lake's table and its snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from analytics.cli import pages
from analytics.cli.effective_settings import in_force
from analytics.cli.options import AsJson, Wide, command_group, example

if TYPE_CHECKING:
    from extractors.lake.table import SnapshotInfo

app = command_group("The lake's table and its snapshots.", sample="annals iceberg info")


@app.command(**example("annals iceberg info --json"))
def info(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the lake holds, and how far it has come."""
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import count, size
    from extractors.lake import open_lake

    found = in_force(context)
    with open_lake(found.settings) as lake:
        held = lake.info()
    if as_json:
        print_json({"lake": as_members(held), "sample": found.sample})
        return
    say(f"table      {held.table_uuid} in {held.location}")
    say(f"rows       {count(held.rows)} in {count(held.files)} files, {size(held.bytes)}")
    say(f"snapshots  {count(held.snapshots)}, the newest is {held.current_snapshot_id}")
    for agent_id, seq in held.positions.items():
        say(f"position   {agent_id} through record {count(seq)}")


@app.command(**example("annals iceberg snapshots --limit 10"))
def snapshots(
    context: typer.Context,
    as_json: AsJson = False,
    wide: Wide = False,
    limit: pages.Limit = None,
    everything: pages.All = False,
) -> None:
    """List the kept snapshots, oldest first.

    Of many, the newest ones are shown.
    """
    from analytics.cli.output import as_members, print_json
    from analytics.cli.tables import instant
    from extractors.lake import open_lake

    wanted = pages.rows_wanted(limit, everything=everything, as_json=as_json)
    found = in_force(context)
    with open_lake(found.settings) as lake:
        every = lake.snapshots()
    kept = every[-wanted:] if wanted else every
    if as_json:
        members = [{**as_members(one), "committed_at": instant(one.committed_at)} for one in kept]
        left = pages.rows_left(len(every), wanted)
        print_json({"snapshots": members, "rows_left_out": left, "sample": found.sample})
        return
    _show_snapshots(kept, wide=wide)
    pages.say_rows_left(len(every), wanted, of="older snapshots")


def _show_snapshots(kept: Sequence[SnapshotInfo], *, wide: bool) -> None:
    from analytics.cli.layout import Column, Kind
    from analytics.cli.tables import Table, count, instant, show, size

    rows = [
        (
            str(one.snapshot_id),
            instant(one.committed_at)[:19],
            one.kind,
            count(one.records_added),
            count(one.files_added),
            size(one.bytes_added),
        )
        for one in kept
    ]
    columns = (
        Column("Snapshot", Kind.TEXT),
        Column("Committed (UTC)", Kind.TEXT, rank=1),
        Column("Kind", Kind.TEXT, rank=4),
        Column("Records", Kind.FIGURE),
        Column("Files", Kind.FIGURE, rank=2),
        Column("Size", Kind.FIGURE, rank=3),
    )
    show(Table(columns, rows), wide=wide)
