"""Each stage by itself as a flow, and the validation.

Prefect makes the form of its UI from a flow's parameters and what ``Args`` says of them; so nothing
in a signature may be known to type checkers only.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from annals.errors import AnalyticsError, IntegrityError, PartialError, QualityError
from extractors.extract import ExtractReport
from flows.prefect import summary, tasks
from flows.prefect.names import run_name
from flows.prefect.outcome import in_our_words
from flows.prefect.work import Source, Work, begin
from flows.validation import promises as validation
from loaders.load import LoadReport
from loaders.publish import PublishReport
from loaders.transform import TransformReport

_HOUR = 3600
_ERRORS: dict[int, type[AnalyticsError]] = {
    error.exit_code: error for error in (IntegrityError, QualityError, PartialError)
}


@flow(flow_run_name=run_name, timeout_seconds=2 * _HOUR, persist_result=False)
def extract(source: Source = "auto", full_backfill: bool = False) -> ExtractReport:
    """Append what is new in the source to the lake.

    Args:
        source: Where records are extracted from: auto is MongoDB where MONGO_URI is set, and else
            the buffer of this machine.
        full_backfill: Read again all that the source still holds; append only what the lake lacks.
    """
    report: ExtractReport = _alone("extract", source, full_backfill=full_backfill)
    return report


@flow(flow_run_name=run_name, timeout_seconds=_HOUR, persist_result=False)
def load() -> LoadReport:
    """Make new data files of the lake visible to the warehouse."""
    report: LoadReport = _alone("load")
    return report


@flow(flow_run_name=run_name, timeout_seconds=2 * _HOUR, persist_result=False)
def transform(full_refresh: bool = False, run_tests: bool = False) -> TransformReport:
    """Rebuild what the loaded batches touch, with dbt.

    Args:
        full_refresh: Rebuild every model from the whole lake.
        run_tests: Run the dbt tests too, as validate does.
    """
    report: TransformReport = _alone("transform", full_refresh=full_refresh, run_tests=run_tests)
    return report


@flow(flow_run_name=run_name, timeout_seconds=_HOUR, persist_result=False)
def publish() -> PublishReport:
    """Publish the built gold as a new build for readers."""
    report: PublishReport = _alone("publish")
    return report


@flow(flow_run_name=run_name, timeout_seconds=4 * _HOUR, persist_result=False)
def validate(deep: bool = False) -> validation.ValidationReport:
    """Check that nothing was lost, doubled or invented.

    Ends Failed where a promise is broken, and Partial where a place is outside and not proven; the
    table of checks says which, and how.

    Args:
        deep: Read every file and every row of the lake again; trust nothing.
    """
    return in_our_words(lambda: _checked(begin(), deep=deep))


def _alone(name: str, source: Source = "auto", **parameters: bool) -> Any:
    """Run one stage, and leave what a run leaves."""

    def run() -> Any:
        work = begin(source)
        with summary.left(work):
            return tasks.run(work, name, **parameters)

    return in_our_words(run)


def _checked(work: Work, *, deep: bool) -> validation.ValidationReport:
    with summary.left(work):
        report = tasks.validate(work, deep=deep)
        broken = [f"{check.name} ({check.faults[0]})" for check in report.checks if check.faults]
        if broken:
            raise _ERRORS[report.exit_code](
                f"{len(broken)} of {len(report.checks)} promises are broken: {'; '.join(broken)}",
                hint="The table of checks has every fault; docs/operations.md says what to do.",
            )
    get_run_logger().info("all %d promises are kept", len(report.checks))
    return report
