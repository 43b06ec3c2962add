"""``annals sync replay``, ``sync flush`` and ``sync quarantine``: ship now, or once more."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics.cli import pages
from analytics.cli.days import days_between
from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import in_force
from analytics.cli.options import AsJson, Since, Wide, command_group, example
from annals.errors import UsageError

if TYPE_CHECKING:
    from annals.settings import Settings
    from sync_agent.upkeep.quarantine import Held

quarantine = command_group(
    "Show and retry quarantined ranges and dead letters.", sample="annals sync quarantine list"
)

Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for it at most.")]
SessionId = Annotated[
    str | None,
    typer.Option("--session", metavar="ID", help="Only this session: its id, or how it begins."),
]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="Only of this file: path, end of it, or file key."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name from `quarantine list`.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names from `quarantine list`.")
]
All = Annotated[bool, typer.Option("--all", help="Everything that is held back.")]
Raw = Annotated[bool, typer.Option("--raw", help="Write the exact bytes, and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(**example("annals sync replay --since 20260101"))(replay)
    app.command(**example("annals sync flush --timeout 60"))(flush)
    app.add_typer(quarantine, name="quarantine")


def replay(
    context: typer.Context,
    as_json: AsJson = False,
    since: Since = None,
    session: SessionId = None,
    file: File = None,
    timeout: Timeout = 60,
) -> None:
    """Ship records again that were shipped before.

    Without a selection all of them. They get new numbers and keep their ids, so where they arrived
    before nothing is doubled. What the buffer no longer has is read again from its file. Days are
    in UTC and those of the entries. With a live agent, the agent does it. What MongoDB acknowledged
    and lost is sent again at its own position.
    """
    from analytics.cli.output import print_json
    from sync_agent.agent.requests import Kind, ask
    from sync_agent.buffer.buffer_reader import session_named

    found = in_force(context)
    first, _ = days_between(since, None)
    selection = {
        "since": first.isoformat() if first else None,
        "session_id": session_named(found.settings, session) if session else None,
        "file": file,
    }
    done = ask(found.settings, Kind.REPLAY, selection, timeout=timeout)
    done["restored"] = _restored(found.settings, gives_up=not any(selection.values()))
    if as_json:
        print_json({"replay": done, "sample": found.sample})
    else:
        _show_replay(done)


def _show_replay(done: dict[str, Any]) -> None:
    from analytics.cli.output import say
    from analytics.cli.tables import count

    say(
        f"{count(done['requeued'] + done['reread'])} records travel again,"
        f" {count(done['reread'])} of them read again from {count(done['files_reread'])} files;"
        f" {count(done['waiting'])} were never shipped and wait already"
    )
    if done["restored"]:
        say(f"{count(done['restored'])} records that MongoDB had lost are back at their positions")
    if done["files_missing"]:
        say(f"{count(done['files_missing'])} files are gone or changed: see docs/sync.md, replay")


def _restored(settings: Settings, *, gives_up: bool) -> int:
    from contextlib import suppress

    from annals.errors import DependencyError
    from flows.extraction import restore_lost

    with suppress(DependencyError):  # the server is away: what travels again waits in the buffer
        return restore_lost(settings, gives_up=gives_up)
    return 0


def flush(context: typer.Context, as_json: AsJson = False, timeout: Timeout = 30) -> None:
    """Ship everything in the buffer now.

    With a live agent, the agent does it.
    """
    from analytics.cli.output import as_members, print_json, say
    from sync_agent.agent.flush import flush as run

    found = in_force(context)
    confirm_destinations(found.settings, "mongo_uri")
    done = run(found.settings, timeout=timeout)
    if as_json:
        print_json({"flush": as_members(done), "sample": found.sample})
    elif done.by == "nobody":
        say("nothing to ship to: MONGO_URI is not set; `annals extract` takes records to the lake")
    else:
        say(f"the buffer is shipped, by this {done.by}")


@quarantine.command("list", **example("annals sync quarantine list --json"))
def list_(
    context: typer.Context,
    as_json: AsJson = False,
    wide: Wide = False,
    limit: pages.Limit = None,
    everything: pages.All = False,
) -> None:
    """List quarantined ranges (q1, q2) and dead letters (d1)."""
    from analytics.cli.output import print_json_rows
    from sync_agent.upkeep.quarantine import held_rows

    wanted = pages.rows_wanted(limit, everything=everything, as_json=as_json)
    found = in_force(context)
    with held_rows(found.settings) as (items, every):
        rows = islice(every, wanted)
        if as_json:
            left = pages.rows_left(items, wanted)
            facts = {"rows_left_out": left, "sample": found.sample}
            print_json_rows("held", map(_members, rows), facts)
        else:
            _show_held(items, rows, limit=wanted, wide=wide)


def _show_held(items: int, rows: Iterable[Held], *, limit: int | None, wide: bool) -> None:
    from analytics.cli.layout import Column, Kind
    from analytics.cli.output import say
    from analytics.cli.tables import Table, count
    from analytics.cli.tables import show as show_table

    if not items:
        say("nothing is held back")
        return
    cells = (
        (item.name, item.kind, item.reason, item.file_path, count(item.byte_offset), _size(item))
        for item in rows
    )
    columns = (
        Column("Name", Kind.TEXT),
        Column("Kind", Kind.TEXT, rank=2),
        Column("Reason"),
        Column("File", rank=1),
        Column("Offset", Kind.FIGURE, rank=3),
        Column("Size", Kind.FIGURE, rank=4),
    )
    show_table(Table(columns, cells), wide=wide)
    pages.say_rows_left(items, limit, of="items")


@quarantine.command(**example("annals sync quarantine show q17"))
def show(context: typer.Context, name: Name, as_json: AsJson = False, raw: Raw = False) -> None:
    """Show one quarantined item and how it begins."""
    from analytics.cli.output import print_json, say
    from sync_agent.upkeep.quarantine import PREVIEW_BYTES, held, held_bytes, named

    found = in_force(context)
    (item,) = named(held(found.settings), [name])
    data = held_bytes(found.settings, item)
    if raw:
        sys.stdout.buffer.write(data)
        return
    members = {**_members(item), "begins": data[:PREVIEW_BYTES].decode("utf-8", "backslashreplace")}
    if as_json:
        print_json({"held": members, "sample": found.sample})
        return
    for key, value in members.items():
        if value is not None:
            say(f"{key:<12}{_safe(str(value))}")


@quarantine.command(**example("annals sync quarantine retry q17 d2"))
def retry(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    as_json: AsJson = False,
    timeout: Timeout = 60,
) -> None:
    """Re-queue dead letters and re-parse quarantined ranges.

    A range is re-parsed with the present rules and MAX_LINE_BYTES; what is still not an entry
    stays.
    With a live agent, the agent does it.
    """
    from analytics.cli.output import print_json, say
    from analytics.cli.tables import count
    from sync_agent.agent.requests import Kind, ask

    if bool(names) is everything:
        raise UsageError(
            "name what is to be retried, or give --all",
            hint="`annals sync quarantine list` has the names.",
        )
    found = in_force(context)
    done = ask(found.settings, Kind.RETRY, {"names": names or []}, timeout=timeout)
    if as_json:
        print_json({**done, "sample": found.sample})
        return
    for one in done["retried"]:
        say(f"{one['name']:<8}{count(one['entries'])} entries, {one['outcome']}")
    if not done["retried"]:
        say("nothing is held back")


def _members(item: Held) -> dict[str, Any]:
    from analytics.cli.commands.sync_status import moment
    from analytics.cli.output import as_members

    members = {**as_members(item), "at": moment(item.at)}
    del members["number"]
    return members


def _size(item: Held) -> str:
    from analytics.cli.tables import size

    return size(item.byte_length)


def _safe(text: str) -> str:
    from analytics.cli.tables import make_printable

    return make_printable(text)
