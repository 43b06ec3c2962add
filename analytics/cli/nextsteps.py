"""The commands a person would want next, written so that they can be pasted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from analytics.cli.inforce import InForce
from analytics.settings.origin import origins

_STATE = (
    "claude_dir",
    "annals_home",
    "sqlite_path",
    "duckdb_path",
    "iceberg_warehouse_path",
    "publish_path",
    "timezone",
)
"""The settings that decide which files and state a command finds, and in which zone days begin."""


def next_commands(found: InForce) -> tuple[tuple[str, str], ...]:
    """Return three commands, each with its meaning.

    They carry the settings that came from flags or from the environment, which the next command
    would not have otherwise. With the sample they find it the same way as this one did.
    """
    annals = " ".join([*_environment(found), _program()])
    return (
        (f"{annals} usage session", "what each conversation cost"),
        (f"{annals} sessions list", "the conversations in custody"),
        (f"{annals} validate --deep", "prove that every byte is accounted for"),
    )


def _environment(found: InForce) -> list[str]:
    origin = origins(found.flags)
    return [
        f"{name.upper()}={shlex.quote(str(getattr(found.configured, name)))}"
        for name in _STATE
        if origin[name].kind in ("flag", "environment")
    ]


def _program() -> str:
    """Return how this very program is started again, relative to the working folder if below it."""
    python = Path(sys.executable)
    console = python.with_name("annals")
    program, rest = (console, "") if console.exists() else (python, " -m analytics.cli")
    with_folder = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    return shlex.quote(str(with_folder)) + rest
