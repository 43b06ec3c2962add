"""``annals extract``, ``load``, ``transform`` and ``publish``: one stage of the pipeline each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Annotated

import typer

from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import InForce, in_force
from analytics.cli.options import AsJson, example
from analytics.cli.orchestration import AsFlow, RunStage, stage_runner
from analytics.cli.refusals import leave_if_partial, warn_of_refusals
from analytics.cli.tables import count, size

FullBackfill = Annotated[
    bool,
    typer.Option(
        "--full-backfill",
        help="Read again all that the buffer still holds; append only what the lake lacks.",
    ),
]
FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Rebuild every model from the whole lake.")
]
RunTests = Annotated[
    bool, typer.Option("--tests", help="Run the dbt tests too, as `annals validate` does.")
]


def register(app: typer.Typer) -> None:
    """Add the four commands to ``app``."""
    app.command(**example("annals extract --full-backfill"))(extract)
    app.command(**example("annals load --json"))(load)
    app.command(**example("annals transform --full-refresh"))(transform)
    app.command(**example("annals publish --json"))(publish)


def extract(
    context: typer.Context,
    as_json: AsJson = False,
    full_backfill: FullBackfill = False,
    as_flow: AsFlow = False,
) -> None:
    """Append what is new in buffer or MongoDB to the lake.

    A record that cannot be read, or that does not match its id, is quarantined with its reason,
    and the exit code is 6.
    """
    from analytics.cli.commands.sync import warn_of_records

    with _stage(context, as_flow=as_flow) as (found, run):
        report = run("extract", full_backfill=full_backfill)
    text = (
        f"{count(report.entries_new)} records appended in {count(report.snapshots_committed)}"
        f" snapshots, {size(report.bytes_written)} written"
    )
    warn_of_refusals(report)
    _answer("extract", report, found=found, as_json=as_json, text=text)
    warn_of_records(report)
    leave_if_partial(report)


def load(context: typer.Context, as_json: AsJson = False, as_flow: AsFlow = False) -> None:
    """Make new data files of the lake visible to the warehouse."""
    with _stage(context, as_flow=as_flow) as (found, run):
        report = run("load")
    text = (
        f"{count(report.files_new)} new data files with {count(report.rows_scanned)} rows;"
        f" {count(report.sessions_pending)} sessions are to be rebuilt"
    )
    _answer("load", report, found=found, as_json=as_json, text=text)


def transform(
    context: typer.Context,
    as_json: AsJson = False,
    full_refresh: FullRefresh = False,
    run_tests: RunTests = False,
    as_flow: AsFlow = False,
) -> None:
    """Rebuild what the loaded batches touch, with dbt."""
    with _stage(context, as_flow=as_flow) as (found, run):
        report = run("transform", full_refresh=full_refresh, run_tests=run_tests)
    text = (
        f"{count(report.models_built)} models built, {count(report.tests_run)} tests run,"
        f" {count(report.sessions_rebuilt)} sessions rebuilt in {report.seconds:.1f} s"
    )
    _answer("transform", report, found=found, as_json=as_json, text=text)


def publish(context: typer.Context, as_json: AsJson = False, as_flow: AsFlow = False) -> None:
    """Publish the built gold as a new build for readers."""
    with _stage(context, as_flow=as_flow) as (found, run):
        report = run("publish")
    text = (
        f"build {report.build_id}: {count(report.tables)} tables, {size(report.bytes_written)}"
        f" written, {count(report.files_linked)} files unchanged"
        if report.published
        else "nothing new to publish"
    )
    _answer("publish", report, found=found, as_json=as_json, text=text)


@contextlib.contextmanager
def _stage(context: typer.Context, *, as_flow: bool) -> Iterator[tuple[InForce, RunStage]]:
    """Give the body the settings in force, and what runs a stage by its name."""
    from annals.telemetry.terminal import terminal_progress

    found = in_force(context)
    confirm_destinations(found.settings, "mongo_uri", "iceberg_catalog_uri", "s3_endpoint")
    run_stage = stage_runner(found, as_flow=as_flow)
    with terminal_progress() as progress:
        yield found, partial(run_stage, settings=found.settings, progress=progress)


def _answer(name: str, report: object, *, found: InForce, as_json: bool, text: str) -> None:
    from analytics.cli.output import as_members, print_json, say

    if as_json:
        print_json({name: as_members(report), "sample": found.sample})
    else:
        say(text)
