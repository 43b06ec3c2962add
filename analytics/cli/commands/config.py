"""``annals config``: the settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from analytics.cli.effective_settings import InForce, Uses, in_force
from analytics.cli.options import AsJson, Wide, command_group, example

if TYPE_CHECKING:
    from annals.settings import Settings

Origin = Annotated[bool, typer.Option("--origin", help="Say where each value came from.")]

app = command_group("The settings in force.", sample="annals config show --origin")


@app.command("show", **example("annals --set TIMEZONE=UTC config show --origin"))
def show_settings(
    context: typer.Context,
    as_json: AsJson = False,
    origin: Origin = False,
    wide: Wide = False,
) -> None:
    """Show every setting; secrets are masked."""
    from analytics.cli.layout import Column
    from analytics.cli.output import print_json, say
    from analytics.cli.tables import Table, show
    from annals.settings.origin import origins

    found = in_force(context, uses=Uses.REPORTS)
    sources = origins(found.flags)
    rows = [
        (name.upper(), _shown(found.configured, name), str(sources[name]))
        for name in type(found.configured).model_fields
    ]
    width = 3 if origin else 2
    if as_json:
        members = ("value", "origin")[: width - 1]
        values = {row[0]: dict(zip(members, row[1:], strict=False)) for row in rows}
        print_json({"settings": values, "paths": _paths(found), "sample": found.sample})
    else:
        columns = (Column("Setting", least=24), Column("Value"), Column("Origin", rank=1))
        show(Table(columns[:width], [row[:width] for row in rows]), wide=wide)
        say("")
        places = (Column("Path in force", least=16), Column("Is"))
        show(Table(places, list(_paths(found).items())), wide=wide)


def _paths(found: InForce) -> dict[str, str]:
    """Return where everything is; a default that follows from another setting is resolved."""
    from annals.lake.places import lake_place
    from annals.settings.files import settings_file

    settings = found.settings
    places = {
        "state": settings.annals_home,
        "buffer": settings.sqlite_path,
        "lake": lake_place(settings),
        "warehouse": settings.warehouse_file,
        "builds": settings.builds_folder,
        "settings file": settings_file() or "none",
    }
    roots = () if "claude_dir" in settings.invalid else settings.claude_dirs
    return {"transcripts": ", ".join(map(str, roots)), **{k: str(v) for k, v in places.items()}}


def _shown(settings: Settings, name: str) -> str:
    """Return a value for people; one that is wrong is not repeated: it may be a secret."""
    from annals.settings.harmless import shown_setting

    is_invalid = name in settings.invalid
    return "(invalid)" if is_invalid else shown_setting(name, getattr(settings, name))
