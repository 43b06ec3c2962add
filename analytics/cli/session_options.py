"""What ``annals sessions show`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from analytics.cli.options import AsJson

SessionId = Annotated[
    str, typer.Argument(metavar="ID", help="Session: its id, or the beginning of it.")
]


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
