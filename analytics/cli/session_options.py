"""What ``annals sessions list`` and ``show`` take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from analytics.cli import pages
from analytics.cli.options import (
    AsCsv,
    AsJson,
    AsMarkdown,
    Host,
    Order,
    Ordered,
    Project,
    Since,
    Until,
    Wide,
)

SessionId = Annotated[
    str, typer.Argument(metavar="ID", help="Session: its id, or the beginning of it.")
]


class SessionSort(StrEnum):
    """What sessions are sorted by."""

    STARTED = "started"
    ENDED = "ended"
    COST = "cost"
    TOKENS = "tokens"
    MINUTES = "minutes"
    PROMPTS = "prompts"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """Which sessions are listed, in which order and form."""

    since: Since = None
    until: Until = None
    project: Project = None
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only sessions of this Git branch.")
    ] = None
    host: Host = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME", help="Only sessions that used it; a part is enough."
        ),
    ] = None
    live: Annotated[
        bool, typer.Option("--live", help="Only sessions active in the last 10 minutes.")
    ] = False
    sort: Annotated[SessionSort, typer.Option("--sort", "-s", help="What they are sorted by.")] = (
        SessionSort.STARTED
    )
    order: Ordered = Order.DESC
    limit: pages.Limit = None
    everything: pages.All = False
    as_json: AsJson = False
    as_csv: AsCsv = False
    as_markdown: AsMarkdown = False
    wide: Wide = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """What ``sessions show`` takes."""

    session: SessionId
    subagents: Annotated[
        bool, typer.Option("--subagents", help="Those of its subagents too, after its own.")
    ] = False
    full: Annotated[
        bool, typer.Option("--full", help="Thinking, notices and whole results of tools too.")
    ] = False
    as_json: AsJson = False
    as_markdown: Annotated[
        bool, typer.Option("--md", help="As Markdown, for a page or a ticket.")
    ] = False
    raw: Annotated[
        bool, typer.Option("--raw", help="The records with their own bytes, one a line.")
    ] = False
