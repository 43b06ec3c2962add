"""``annals sessions``: the conversations in custody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.option_sets import command_with
from analytics.cli.options import AsJson, command_group, example
from analytics.cli.session_options import ListOptions, SessionId, ShowOptions

app = command_group("The conversations in custody.", sample="annals sessions list")


def list_(context: typer.Context, options: ListOptions) -> None:
    """List the sessions, the newest first; days are in UTC.

    The title is the one that a person gave, else the agent's own, else the first prompt.
    """
    from analytics.cli.session_list import answer_list

    answer_list(in_force(context, uses=Uses.REPORTS), options)


app.command(
    "list", help=list_.__doc__, **example("annals sessions list --since 7d --sort cost --limit 20")
)(command_with(ListOptions, list_))


def show_one(context: typer.Context, options: ShowOptions) -> None:
    """Print a conversation: what was said, and which tools ran.

    It is read from what is in custody, deleted or not. On a terminal it goes through the pager.
    """
    from analytics.cli.session_page import show_session

    show_session(in_force(context, uses=Uses.REPORTS), options)


app.command("show", help=show_one.__doc__, **example("annals sessions show 12ac4d46 --subagents"))(
    command_with(ShowOptions, show_one)
)


@app.command(**example("annals sessions restore 12ac4d46 --dry-run"))
def restore(
    context: typer.Context,
    session: SessionId,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Write below this folder instead."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map", metavar="FROM=TO", help="Replace the beginning of a path of another machine."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be restored, and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a deleted transcript back, byte for byte.

    Its main file and those of its subagents return to their place, with mode 0600. A file that is
    there is never changed: exit code 8 if it has other content. Exit code 6: not every byte is
    proven; the output says which.
    """
    from analytics.cli.kept_report import restore_session

    found = in_force(context, uses=Uses.REPORTS)
    code = restore_session(
        found, session, folder=to, mapping=mapping, is_dry=dry_run, as_json=as_json
    )
    raise typer.Exit(code)


@app.command(**example("annals sessions export 12ac4d46 > session.jsonl"))
def export(context: typer.Context, session: SessionId) -> None:
    """Print a transcript with its own bytes, deleted or not.

    It is the main file of the session; `restore --to FOLDER` writes those of its subagents too.
    """
    from analytics.cli.kept_report import export_session

    found = in_force(context, uses=Uses.REPORTS)
    raise typer.Exit(export_session(found, session))
