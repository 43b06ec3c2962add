"""How many rows of a long list a command prints, and how to see the others."""

from __future__ import annotations

from typing import Annotated

import typer

from annals.errors import UsageError

ROWS_ON_A_PAGE = 50

Limit = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"At most so many rows; default {ROWS_ON_A_PAGE}, with --json all of them."
    ),
]
All = Annotated[bool, typer.Option("--all", help="All rows, however many there are.")]


def rows_wanted(limit: int | None, *, everything: bool, as_json: bool) -> int | None:
    """Return how many rows to print at most, None for all of them.

    Raises UsageError (exit 2) for both options at once.
    """
    if limit is not None and everything:
        raise UsageError("--limit and --all exclude each other", hint="Give one of them.")
    if limit is not None or everything or as_json:
        return limit
    return ROWS_ON_A_PAGE


def rows_left(rows: int, limit: int | None) -> int:
    """Return how many of ``rows`` a page of ``limit`` rows leaves out."""
    return 0 if limit is None else max(0, rows - limit)


def say_rows_left(rows: int, limit: int | None, *, of: str) -> None:
    """Print how many of ``rows`` a page of ``limit`` rows leaves out, if any."""
    from analytics.cli.output import say
    from analytics.cli.tables import count

    if left := rows_left(rows, limit):
        say(f"{count(left)} more {of} not shown: --all shows all {count(rows)}, --limit N shows N")
