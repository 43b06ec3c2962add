"""Whether the stage commands run as plain functions or as Prefect flows."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Annotated

import typer

from analytics.cli.inforce import InForce

AsFlow = Annotated[
    bool,
    typer.Option(
        "--prefect",
        help="Run as a Prefect flow, on the record of the server at PREFECT_API_URL.",
    ),
]


def stage_functions(found: InForce, *, as_flow: bool) -> ModuleType:
    """Return the module whose stage functions are to be called: plain ones, or the same as flows.

    Flows are meant by ``--prefect`` or by the setting PREFECT_API_URL. Raises SettingsError
    (exit 3) where Prefect is not installed, DependencyError (exit 4) where its server is down.
    """
    _note_other_target()
    if not as_flow and found.settings.prefect_api_url is None:
        return importlib.import_module("flows.stages")
    from flows.orchestrated.reaching import reach

    reach(found.settings)
    return importlib.import_module("flows.orchestrated.tracked")


def _note_other_target() -> None:
    """Say that a ``DBT_TARGET`` of another project is not used."""
    from analytics.environments import removed_names

    if "DBT_TARGET" in removed_names():
        sys.stderr.write("note: DBT_TARGET is not one of dev, prod; dev is used\n")
