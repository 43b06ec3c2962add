"""``annals statusline``: one line for a status bar."""

from __future__ import annotations

from typing import Annotated

import typer

from analytics.cli.options import example


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals statusline < session.json"))(statusline)


def statusline(
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The figures to show; default statusline.json in PUBLISH_PATH."
        ),
    ] = None,
) -> None:
    """Print one line for the status bar of Claude Code.

    It reads Claude Code's JSON from standard input, and the figures that the last publish wrote:
    cost of the session, of today, of this month and of the active five-hour block. Whatever is
    wrong with its input, it prints a line and ends with 0.
    """
    from annals.statusline import print_status

    raise typer.Exit(print_status(["--file", file] if file else []))
