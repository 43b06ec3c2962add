"""The command tree and its outer edge: errors become messages and exit codes here.

Command modules import what they need inside their functions, so that ``--help`` stays quick.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from analytics.cli.commands import (
    backup,
    config,
    doctor,
    iceberg,
    pipeline,
    platform,
    repair,
    sessions,
    stages,
    status,
    statusline,
    sync,
    usage,
    validate,
    version,
)
from analytics.cli.options import example, show_help
from annals.process.streams import leave_output

INTERRUPTED = 130
"""What shells report of a command that Ctrl-C ended: 128 and the number of SIGINT."""

app = typer.Typer(
    name="annals",
    help="Keep all conversations of coding agents and price them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    **example("annals pipeline && annals usage daily"),
)

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting for this run; wins over all else. Repeat it."
    ),
]

EnvFile = Annotated[
    str | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="The settings file to read, and no other (/dev/null: none).",
    ),
]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from annals import __version__

        sys.stdout.write(f"annals {__version__}\n")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]


@app.callback()
def root(
    context: typer.Context,
    assignments: Assignments = None,
    env_file: EnvFile = None,
    _version: Version = False,
) -> None:
    """Keep all conversations of coding agents and price them."""
    if env_file:
        from annals.settings.files import use_settings_file

        use_settings_file(env_file)
    context.obj = {"assignments": tuple(assignments or ())}
    show_help(context)


pipeline.register(app)
app.add_typer(sync.app, name="sync")
stages.register(app)
app.add_typer(usage.app, name="usage")
app.add_typer(sessions.app, name="sessions")
app.add_typer(iceberg.app, name="iceberg")
app.add_typer(config.app, name="config")
status.register(app)
statusline.register(app)
doctor.register(app)
validate.register(app)
repair.register(app)
backup.register(app)
platform.register(app)
version.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code (docs/reference/exit-codes.md).

    A reader that closes our standard output early, such as ``head``, is not a failure.
    """
    try:
        _refuse_empty(arguments)
        code = app(list(arguments), prog_name="annals", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return leave_output()
    except SystemExit as leaving:  # how the parser answers an early end of the output
        if isinstance(leaving.__context__, BrokenPipeError):
            return leave_output()
        return leaving.code if isinstance(leaving.code, int) else 1  # typer's completion ends so
    except Exception as error:  # noqa: BLE001 (the outer edge of the process)
        code = _fail(error, as_json=not {"--json", "-j"}.isdisjoint(arguments))
        _drop_unwritable()
        return code
    if code == INTERRUPTED:
        _say_interrupted()
    return code if isinstance(code, int) else 0


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise UsageError for an empty text: as a path it would be the working folder."""
    for place, given in enumerate(arguments):
        option, equals, value = given.partition("=")
        is_option = option.startswith("-")
        if given and not (is_option and equals and not value):
            continue
        from annals.errors import UsageError

        before = arguments[place - 1] if place else ""
        named = option or (before if before.startswith("-") and "=" not in before else "")
        raise UsageError(
            f"{named or 'an argument'} is given an empty text",
            hint="Give it a value, or leave it out; a variable of a script may be empty.",
        )


def _say_interrupted() -> None:
    """Say what became of the work; progress, if there was any, has said how far it was."""
    from analytics.cli.output import tell

    with contextlib.suppress(OSError):
        tell("interrupted: what was committed is kept, and the same command goes on from there")


def _drop_unwritable() -> None:
    """Let Python write nothing more as it ends if that fails again: its exit code would win."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            leave_output(stream=stream)


def _traceback_of(error: Exception) -> str:
    """Return the traceback without secrets: it quotes what libraries say, of every cause."""
    import traceback

    from annals.secrecy import hide

    return hide("".join(traceback.format_exception(error)))


def _fail(error: Exception, *, as_json: bool) -> int:
    from analytics.cli.failures import failure_of

    failure = failure_of(error)
    with contextlib.suppress(OSError):  # closed or full: the exit code says it
        if os.environ.get("LOG_LEVEL", "").lower() == "debug":
            sys.stderr.write(_traceback_of(error))
        failure.show(as_json=as_json)
    return failure.exit_code
