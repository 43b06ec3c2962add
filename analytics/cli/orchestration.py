"""Whether the stage commands run as plain functions or as Prefect flows."""

from __future__ import annotations

import importlib
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
    if not as_flow and found.settings.prefect_api_url is None:
        return importlib.import_module("flows.stages")
    from flows.orchestrated.reaching import reach

    reach(found.settings)
    return importlib.import_module("flows.orchestrated.tracked")
