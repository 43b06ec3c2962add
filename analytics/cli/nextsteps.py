"""The commands a person would want next, written so that they can be pasted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from analytics.cli.effective_settings import InForce
from annals.secrecy import HIDDEN
from annals.settings.harmless import shown_setting
from annals.settings.origin import origins

_STATE = (
    "claude_dir",
    "annals_home",
    "sqlite_path",
    "duckdb_path",
    "iceberg_warehouse_path",
    "publish_path",
    "iceberg_catalog_name",
    "iceberg_catalog_type",
    "iceberg_catalog_uri",
    "iceberg_namespace",
    "iceberg_table_name",
    "aws_region",
    "s3_endpoint",
    "s3_path_style",
    "timezone",
)
"""The settings that decide which files and state a command finds, and in which zone days begin.

Keys and addresses with a password are left out: they are
not shown, and who set them in the environment has them there.
"""


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
    values = {name: getattr(found.configured, name) for name in _STATE}
    return [
        f"{name.upper()}={shlex.quote(shown_setting(name, value))}"
        for name, value in values.items()
        if origin[name].kind in ("flag", "environment") and HIDDEN not in shown_setting(name, value)
    ]


def _program() -> str:
    """Return how this very program is started again, relative to the working folder if below it."""
    python = Path(sys.executable)
    console = python.with_name("annals")
    program, rest = (console, "") if console.exists() else (python, " -m analytics.cli")
    with_folder = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    return shlex.quote(str(with_folder)) + rest
