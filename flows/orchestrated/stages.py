"""Each stage by itself as a flow, and the validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from analytics.errors import IntegrityError, QualityError
from flows import validation
from flows.orchestrated import summary, tasks
from flows.orchestrated.names import run_name
from flows.orchestrated.outcome import in_our_words
from flows.orchestrated.work import Source, Work, begin

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport

Report = TypeVar("Report")

SourceChoice = Annotated[
    Source,
    Field(
        title="Source",
        description="Where records are extracted from: auto is MongoDB where MONGO_URI is set, and"
        " else the buffer of this machine.",
    ),
]
FullBackfill = Annotated[
    bool,
    Field(
        title="Full backfill",
        description="Read again all that the source still holds; append only what the lake lacks.",
    ),
]
FullRefresh = Annotated[
    bool,
    Field(title="Full refresh", description="Rebuild every model from the whole lake."),
]
RunTests = Annotated[
    bool, Field(title="Run tests", description="Run the dbt tests too, as validate does.")
]
Deep = Annotated[
    bool,
    Field(
        title="Deep",
        description="Read every file and every row of the lake again; trust nothing.",
    ),
]

_HOUR = 3600


@flow(flow_run_name=run_name, timeout_seconds=2 * _HOUR, persist_result=False)
def extract(source: SourceChoice = "auto", full_backfill: FullBackfill = False) -> ExtractReport:
    """Append what is new in the source to the lake."""
    return in_our_words(
        lambda: _alone(
            "extract", lambda work: tasks.extract(work, full_backfill=full_backfill), begin(source)
        )
    )


@flow(flow_run_name=run_name, timeout_seconds=_HOUR, persist_result=False)
def load() -> LoadReport:
    """Make new data files of the lake visible to the warehouse."""
    return in_our_words(lambda: _alone("load", tasks.load, begin()))


@flow(flow_run_name=run_name, timeout_seconds=2 * _HOUR, persist_result=False)
def transform(full_refresh: FullRefresh = False, run_tests: RunTests = False) -> TransformReport:
    """Rebuild what the loaded batches touch, with dbt."""
    return in_our_words(
        lambda: _alone(
            "transform",
            lambda work: tasks.transform(work, full_refresh=full_refresh, run_tests=run_tests),
            begin(),
        )
    )


@flow(flow_run_name=run_name, timeout_seconds=_HOUR, persist_result=False)
def publish() -> PublishReport:
    """Publish the built gold as a new build for readers."""
    return in_our_words(lambda: _alone("publish", tasks.publish, begin()))


@flow(flow_run_name=run_name, timeout_seconds=4 * _HOUR, persist_result=False)
def validate(deep: Deep = False) -> validation.ValidationReport:
    """Check that nothing was lost, doubled or invented.

    Ends Failed where a promise is broken; the table of checks says which, and how.
    """
    return in_our_words(lambda: _checked(begin(), deep=deep))


def _alone(stage: str, task: Callable[[Work], Report], work: Work) -> Report:
    """Run one stage, and leave what a run leaves."""
    report = task(work)
    summary.leave(work, {stage: report})
    return report


def _checked(work: Work, *, deep: bool) -> validation.ValidationReport:
    report = tasks.validate(work, deep=deep)
    summary.leave_checks([summary.row_of(check) for check in report.checks])
    summary.leave_link(work.settings)
    broken = [f"{check.name} ({check.faults[0]})" for check in report.checks if check.faults]
    if broken:
        error = QualityError if report.exit_code == QualityError.exit_code else IntegrityError
        raise error(
            f"{len(broken)} of {len(report.checks)} promises are broken: {'; '.join(broken)}",
            hint="The table of checks has every fault; docs/operations.md says what to do.",
        )
    get_run_logger().info("all %d promises are kept", len(report.checks))
    return report
