"""Whether the stage commands run as plain functions or as Prefect flows."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import InForce
from analytics.cli.output import tell
from annals.errors import DependencyError, SettingsError

AsFlow = Annotated[
    bool,
    typer.Option(
        "--prefect",
        help="Run as a Prefect flow, on the record of the server at PREFECT_API_URL.",
    ),
]


RunStage = Callable[..., Any]
"""``run_stage(name, settings, progress=..., ...)`` of :mod:`flows.stages`, or the same as flows."""


def stage_runner(found: InForce, *, as_flow: bool) -> RunStage:
    """Return what runs a stage by its name: as a plain function, or as a flow.

    Flows are meant by ``--prefect`` or by the setting PREFECT_API_URL. A server that only the
    environment names may be that of other work: where it cannot be used, the plain functions run,
    and standard error says so. Raises SettingsError (exit 3) where Prefect is not installed,
    DependencyError (exit 4) where its server is down.
    """
    _note_other_target()
    if not as_flow and found.settings.prefect_api_url is None:
        return _runner("flows.stages")
    from annals.settings.destinations import is_named_for_annals
    from flows.prefect.reaching import reach

    is_chosen = as_flow or is_named_for_annals(found.settings, "prefect_api_url")
    if as_flow:
        confirm_destinations(found.settings, "prefect_api_url")
    try:
        reach(found.settings)
    except (SettingsError, DependencyError) as error:
        if is_chosen:
            raise
        tell(f"note: runs without Prefect: {error.message}")
        return _runner("flows.stages")
    return _runner("flows.prefect.tracked")


def _runner(module: str) -> RunStage:
    run: RunStage = importlib.import_module(module).run_stage
    return run


def _note_other_target() -> None:
    """Say that a ``DBT_TARGET`` of another project is not used."""
    from annals.process.environments import removed_names

    if "DBT_TARGET" in removed_names():
        sys.stderr.write("note: DBT_TARGET is not one of dev, prod; dev is used\n")
