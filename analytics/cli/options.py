"""Options that several commands share, and the form of their examples."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from analytics.cli.days import FORMS, Period, parse_period


class Order(StrEnum):
    """The order of a report's rows."""

    ASC = "asc"
    DESC = "desc"


def _period(text: str | Period) -> Period:
    if isinstance(text, Period):
        return text
    try:
        return parse_period(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write {FORMS}") from None


def _zone(name: str) -> str:
    from annals.settings.timezone import zone_name

    found = zone_name(name)
    if found is None:
        raise typer.BadParameter(f"{name!r} is not an IANA time zone (example: Europe/Berlin)")
    return found


AsJson = Annotated[bool, typer.Option("--json", "-j", help="Print JSON instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
AsMarkdown = Annotated[bool, typer.Option("--md", help="Print a Markdown table.")]
Wide = Annotated[
    bool, typer.Option("--wide", "-w", help="All columns in full, however narrow the terminal is.")
]
Since = Annotated[
    Period | None,
    typer.Option(parser=_period, metavar="DAY", help=f"First day: {FORMS}."),
]
Until = Annotated[
    Period | None,
    typer.Option(parser=_period, metavar="DAY", help="Last day, included."),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        "-z",
        parser=_zone,
        metavar="ZONE",
        help="IANA zone in which days begin; default the setting TIMEZONE.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option("--project", "-p", metavar="NAME", help="Only this project: name, path or key."),
]
Host = Annotated[str | None, typer.Option(metavar="NAME", help="Only sessions of this machine.")]
Ordered = Annotated[Order, typer.Option("--order", help="Order of the rows.")]
ClaudeDir = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER", help="Folder of the transcripts; default CLAUDE_DIR. Repeat it."
    ),
]


def command_group(summary: str, *, sample: str) -> typer.Typer:
    """Return a group of commands that shows its help if it is called without a command."""
    group = typer.Typer(
        help=summary,
        rich_markup_mode=None,
        add_completion=False,
        invoke_without_command=True,
        **example(sample),
    )
    group.callback()(show_help)
    return group


def show_help(context: typer.Context) -> None:
    """Print the group's help if no command of it was named."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def example(text: str) -> dict[str, Any]:
    """Return the keyword for a command's decorator that ends its help with an example."""
    return {"epilog": f"Example: {text}"}
