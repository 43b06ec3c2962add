"""One task for each stage: the function the command line calls, with retries and its asset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.assets import Asset
from prefect.context import AssetContext
from prefect.logging import get_run_logger
from prefect.tasks import MaterializingTask, Task

from annals.settings import Settings
from annals.text import one_line
from flows import stages
from flows.prefect import assets
from flows.prefect.outcome import may_succeed_later
from flows.prefect.work import Work
from flows.validation import promises as validation

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from flows.validation.promises import ValidationReport
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport
    from sync_agent.agent.once import SyncReport
    from sync_agent.agent.shipment import ShipReport

Report = TypeVar("Report")

_JITTER = 0.2
_WAITS_AT_MOST = 50


def _run(
    work: Work,
    stage: str,
    function: Callable[[], Report],
    *,
    makes: Asset,
    of: Asset,
    is_new: Callable[[Report], object],
) -> Report:
    """Run a stage as a task that makes one asset of another, where there is something new."""

    def materialized(work: Work) -> Report:
        report: Report = work.timed(stage, function)
        context = AssetContext.get()
        if context and not is_new(report):
            context.downstream_assets.clear()  # nothing was made, so no event says so
        return report

    task = MaterializingTask(materialized, assets=[makes], asset_deps=[of], **_options(work, stage))
    return task(work)


def _options(work: Work, stage: str) -> dict[str, Any]:
    """Return the options of a stage's task: its name, and how it is tried again."""
    return {
        "name": stage,
        "task_run_name": stage,
        "tags": ["stage"],
        "retries": work.settings.flow_retries,
        "retry_delay_seconds": _waits(work.settings),
        "retry_jitter_factor": _JITTER,
        "retry_condition_fn": may_succeed_later,
        "persist_result": False,
    }


def _waits(settings: Settings) -> list[float]:
    """Return the seconds before each retry: twice as long each time, up to eight times the first.

    Prefect takes fifty at most; after these the last one counts.
    """
    retries = min(settings.flow_retries, _WAITS_AT_MOST)
    return [settings.flow_retry_seconds * min(2**tried, 8) for tried in range(retries)]


def sync(work: Work) -> SyncReport:
    """Read what is new in the transcripts into the buffer."""
    return _run(
        work,
        "sync",
        lambda: stages.sync(work.settings, progress=work.progress),
        makes=assets.BUFFER,
        of=assets.TRANSCRIPTS,
        is_new=lambda report: report.entries_new or report.quarantined_new,
    )


def ship(work: Work) -> ShipReport | None:
    """Ship what the buffer holds to MongoDB; None where that is not set."""
    if work.settings.mongo_uri is None:
        return None
    return _run(
        work,
        "ship",
        lambda: stages.ship(work.settings, progress=work.progress),
        makes=assets.SERVER,
        of=assets.BUFFER,
        is_new=lambda report: report and report.records_shipped,
    )


def extract(work: Work, *, full_backfill: bool) -> ExtractReport:
    """Append what is new in the source to the lake; what was refused is logged as a warning."""
    report = _run(
        work,
        "extract",
        lambda: stages.extract(work.settings, full_backfill=full_backfill, progress=work.progress),
        makes=assets.lake(work.settings),
        of=assets.source(work.settings),
        is_new=lambda report: report.snapshots_committed,
    )
    for sentence in report.refusals:
        get_run_logger().warning("%s", one_line(sentence))
    return report


def load(work: Work) -> LoadReport:
    """Make the lake's new data files visible to the warehouse."""
    return _run(
        work,
        "load",
        lambda: stages.load(work.settings, progress=work.progress),
        makes=assets.RAW,
        of=assets.lake(work.settings),
        is_new=lambda report: report.files_new,
    )


def transform(work: Work, *, full_refresh: bool, run_tests: bool) -> TransformReport:
    """Rebuild what the loaded batches touch."""
    return _run(
        work,
        "transform",
        lambda: stages.transform(
            work.settings, full_refresh=full_refresh, run_tests=run_tests, progress=work.progress
        ),
        makes=assets.gold(work.settings),
        of=assets.RAW,
        is_new=lambda report: report.models_built,
    )


def publish(work: Work) -> PublishReport:
    """Publish the built gold for readers."""
    return _run(
        work,
        "publish",
        lambda: stages.publish(work.settings, progress=work.progress),
        makes=assets.PUBLISHED,
        of=assets.gold(work.settings),
        is_new=lambda report: report.published,
    )


def validate(work: Work, *, deep: bool) -> ValidationReport:
    """Check every promise; nothing is changed, so nothing is made."""

    def checked(work: Work) -> ValidationReport:
        report: ValidationReport = work.timed(
            "validate", lambda: validation.validate(work.settings, deep=deep)
        )
        return report

    return Task(checked, **_options(work, "validate"))(work)
