"""``annals sync allow``: the places off this machine that data may go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from analytics.cli.effective_settings import Uses, configured
from analytics.cli.options import AsJson, Wide, example
from annals.errors import UsageError

if TYPE_CHECKING:
    from annals.settings.addresses import Destination

Places = Annotated[
    list[str] | None,
    typer.Argument(metavar="HOST[:PORT][/DATABASE]...", help="The places; no password in them."),
]
AsList = Annotated[bool, typer.Option("--list", help="List what is allowed; also without a place.")]
Remove = Annotated[bool, typer.Option("--remove", help="Allow these places no longer.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals sync allow db.example.org:27017/claude_logs"))(allow)


def allow(
    context: typer.Context,
    places: Places = None,
    as_list: AsList = False,
    remove: Remove = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Allow data to go to a place, or list the allowed places.

    Only a place that the environment alone names has to be allowed. A MongoDB, catalog, object
    store, webhook or Prefect server on this machine needs no permission, nor does one that a flag
    or the settings file names. The list is `allowed.json` beside the buffer. Without /DATABASE
    every database of the server is allowed.
    """
    from analytics.cli.layout import Column
    from analytics.cli.output import as_members, print_json, say
    from analytics.cli.tables import Table, show
    from annals.settings.allowed import add_allowed, allowed_places, remove_allowed

    settings = configured(context, uses=Uses.REPORTS)
    if remove and not places:
        raise UsageError("--remove needs a place", hint="`annals sync allow --list` has them.")
    destinations = [_parsed(place) for place in places or ()]
    changed = [
        str(one)
        for one in destinations
        if (remove_allowed(settings, one) if remove else add_allowed(settings, one, "command"))
    ]
    entries = allowed_places(settings)
    if as_json:
        members = {"changed": changed, "allowed": [as_members(one) for one in entries]}
        print_json(members)
    elif as_list or not destinations:
        rows = [(one.destination, one.how, one.at) for one in entries]
        columns = (Column("Destination", least=24), Column("How", rank=1), Column("At", rank=2))
        show(Table(columns, rows), wide=wide)
    else:
        for one in destinations:
            say(f"{one}: {_outcome(is_changed=str(one) in changed, remove=remove)}")


def _outcome(*, is_changed: bool, remove: bool) -> str:
    if remove:
        return "no longer allowed" if is_changed else "was not in the list"
    return "allowed" if is_changed else "was allowed already"


def _parsed(text: str) -> Destination:
    from annals.settings.addresses import parse_destination

    try:
        return parse_destination(text)
    except ValueError as error:
        raise UsageError(
            f"the place {error}",  # without the text: it may hold a password
            hint="Write HOST[:PORT][/DATABASE], such as db.example.org:27017/claude_logs.",
        ) from None
