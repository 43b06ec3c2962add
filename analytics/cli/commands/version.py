"""``annals version``."""

from __future__ import annotations

import typer

from analytics.cli.options import AsJson, example
from analytics.cli.output import print_json, say
from annals import __version__


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(**example("annals version"))(version)


def version(as_json: AsJson = False) -> None:
    """Print the version of Annals."""
    if as_json:
        print_json({"version": __version__})
    else:
        say(__version__)
