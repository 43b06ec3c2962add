"""All stages in a row as a flow: what the deployments run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import flow

from flows.history import noted
from flows.partial import note_unfinished
from flows.prefect import freshness, summary, tasks
from flows.prefect.names import run_name
from flows.prefect.outcome import in_our_words
from flows.prefect.work import Source, Work, begin
from flows.stages import PipelineReport

if TYPE_CHECKING:
    from sync_agent.agent.once import SyncReport
    from sync_agent.agent.shipment import ShipReport

_TIMEOUT_SECONDS = 6 * 3600


@flow(flow_run_name=run_name, timeout_seconds=_TIMEOUT_SECONDS, persist_result=False)
def pipeline(
    source: Source = "auto",
    full_backfill: bool = False,
    full_refresh: bool = False,
    run_tests: bool = False,
) -> PipelineReport:
    """Take the transcripts all the way to a published build.

    Only what is new is worked on. Each stage holds the lock for itself, so that a stage that waits
    for its next try keeps nobody out.

    Args:
        source: Where records are extracted from: auto is MongoDB where MONGO_URI is set, and else
            the buffer of this machine.
        full_backfill: Read again all that the source still holds; append only what the lake lacks.
        full_refresh: Rebuild every model from the whole lake.
        run_tests: Run the dbt tests too, as validate does.
    """
    return in_our_words(
        lambda: _through(
            begin(source),
            full_backfill=full_backfill,
            full_refresh=full_refresh,
            run_tests=run_tests,
        )
    )


def _through(
    work: Work, *, full_backfill: bool, full_refresh: bool, run_tests: bool
) -> PipelineReport:
    with summary.left(work), noted(work.settings, "pipeline") as run:
        report = PipelineReport(
            sync=_sync(work),
            ship=_ship(work),
            extract=tasks.run(work, "extract", full_backfill=full_backfill),
            load=tasks.run(work, "load"),
            transform=tasks.run(work, "transform", full_refresh=full_refresh, run_tests=run_tests),
            publish=tasks.run(work, "publish"),
        )
        run.counters = report.counters()
        note_unfinished(run, report)
    freshness.tell(work.settings, records=report.extract.records_read)
    return report


def _sync(work: Work) -> SyncReport:
    """Read the transcripts, unless they are on other machines, whose agents ship them."""
    from sync_agent.agent.once import SyncReport

    return SyncReport() if _reads_elsewhere(work) else tasks.run(work, "sync")


def _ship(work: Work) -> ShipReport | None:
    """Ship this machine's buffer; where others read and ship there is none."""
    if work.settings.mongo_uri is None:
        return None
    if _reads_elsewhere(work) and not work.settings.sqlite_path.exists():
        return None
    report: ShipReport | None = tasks.run(work, "ship")
    return report


def _reads_elsewhere(work: Work) -> bool:
    settings = work.settings
    return bool(settings.mongo_uri) and not any(path.exists() for path in settings.claude_dirs)
