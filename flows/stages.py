"""The pipeline as plain functions: each stage under its lock, and all of them in a row.

A stage function reports what it did in counters; run again with nothing new it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from annals.access import claim_buffer, claim_state
from annals.errors import AnalyticsError, LakeDamageError, WarehouseError
from annals.locks import exclusive
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from flows.ahead import Ahead, Announced
from flows.recovery import recover, recover_on_damage, set_aside_suspect

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport
    from sync_agent.agent.once import SyncReport
    from sync_agent.agent.shipment import ShipReport

_LOCKED = "the pipeline"
_ELSEWHERE = "an agent elsewhere (READS_TRANSCRIPTS is false)"

Report = TypeVar(
    "Report",
    "SyncReport",
    "ShipReport",
    "ExtractReport",
    "LoadReport",
    "TransformReport",
    "PublishReport",
)


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What each stage did; ``nothing_new`` says that none of them had anything to do.

    ``ship`` is None where the buffer is the source, because MONGO_URI is not set.
    """

    sync: SyncReport
    ship: ShipReport | None
    extract: ExtractReport
    load: LoadReport
    transform: TransformReport
    publish: PublishReport

    @property
    def nothing_new(self) -> bool:
        """Whether every stage found its work done already."""
        return not (
            self.sync.entries_new
            or self.sync.quarantined_new
            or (self.ship and self.ship.batches)
            or self.extract.snapshots_committed
            or self.load.files_new
            or self.transform.models_built
            or self.publish.published
        )

    def counters(self) -> dict[str, int]:
        """Return the figures that say how much work there was; all are 0 where nothing is new."""
        return {
            "bytes_read": self.sync.bytes_read,
            "files_read": self.sync.files_read,
            "entries_new": self.sync.entries_new,
            "quarantined_new": self.sync.quarantined_new,
            "records_shipped": self.ship.records_shipped if self.ship else 0,
            "dead_letters_new": self.ship.dead_letters_new if self.ship else 0,
            "records_extracted": self.extract.records_read,
            "bytes_verified": self.extract.bytes_verified + self.load.bytes_verified,
            "records_restored": self.extract.records_restored,
            "records_unverified": self.extract.records_quarantined,
            "snapshots_committed": self.extract.snapshots_committed,
            "data_files_new": self.load.files_new,
            "rows_scanned": self.load.rows_scanned + self.transform.rows_scanned,
            "models_built": self.transform.models_built,
            "sessions_rebuilt": self.transform.sessions_rebuilt,
        }


def sync(settings: Settings, *, progress: Progress = NO_PROGRESS) -> SyncReport:
    """Read what is new in the transcripts into the buffer."""
    claim_buffer(settings)
    return _sync(settings, progress, role="sync once")


def ship(settings: Settings, *, progress: Progress = NO_PROGRESS) -> ShipReport | None:
    """Ship what the buffer has to MongoDB; None, and nothing done, where MONGO_URI is not set.

    Raises SettingsError (exit 3) where it is wrong and DependencyError (exit 4) where the server
    does not answer.
    """
    claim_buffer(settings)
    return _ship(settings, progress, role="ship once")


def extract(
    settings: Settings, *, full_backfill: bool = False, progress: Progress = NO_PROGRESS
) -> ExtractReport:
    """Append what is new in the source (MongoDB, or else the buffer) to the lake.

    Raises LockedError (exit 7) where another process runs the pipeline or a stage of it.
    """
    with _locked(settings, "extract"):
        return recover_on_damage(
            settings, lambda: _extract(settings, progress, full_backfill=full_backfill)
        )


def load(settings: Settings, *, progress: Progress = NO_PROGRESS) -> LoadReport:
    """Make new data files of the lake visible to the warehouse; raises as :func:`extract`."""
    with _locked(settings, "load"):
        set_aside_suspect(settings)
        return recover_on_damage(settings, lambda: _load(settings, progress))


def transform(
    settings: Settings,
    *,
    full_refresh: bool = False,
    run_tests: bool = False,
    progress: Progress = NO_PROGRESS,
) -> TransformReport:
    """Rebuild what the loaded batches touch with dbt; raises as :func:`extract`."""
    with _locked(settings, "transform"):
        return _transform(settings, progress, full_refresh=full_refresh, run_tests=run_tests)


def publish(settings: Settings, *, progress: Progress = NO_PROGRESS) -> PublishReport:
    """Publish the built gold for readers; raises as :func:`extract`."""
    with _locked(settings, "publish"):
        return _publish(settings, progress)


def pipeline(
    settings: Settings, *, work_ahead: bool = False, progress: Progress = NO_PROGRESS
) -> PipelineReport:
    """Take the transcripts all the way to a published build, holding the lock throughout.

    With ``work_ahead`` another process gets dbt ready as soon as there is something new
    (:mod:`flows.ahead`): for a process that does not stay. Raises what the stages raise;
    everything a stage committed before that is kept, and the next run goes on from there. Raises
    LockedError (exit 7) where another process runs it.
    """
    with (
        _locked(settings, "pipeline") as lock,
        Ahead(settings, lock) as ahead,
    ):
        set_aside_suspect(settings)
        heard = Announced(progress, ahead) if work_ahead else progress
        synced = _sync(settings, heard, role="pipeline")
        shipped = _ship(settings, heard, role="pipeline")
        if ahead.has_begun:
            try:
                landed = extract_and_load(settings, progress)
                return PipelineReport(synced, shipped, *landed, *ahead.build(progress))
            except (LakeDamageError, WarehouseError) as error:
                ahead.end()
                if not recover(settings, error):
                    raise
        reports = recover_on_damage(settings, lambda: _landed_and_built(settings, progress))
        return PipelineReport(synced, shipped, *reports)


STAGES: Mapping[str, Callable[..., Any]] = {
    "sync": sync,
    "ship": ship,
    "extract": extract,
    "load": load,
    "transform": transform,
    "publish": publish,
    "pipeline": partial(pipeline, work_ahead=True),
}
"""Every stage by its name, as commands and flows run it: a command does not stay."""


def run_stage(name: str, settings: Settings, *, progress: Progress, **parameters: Any) -> Any:
    """Run a stage of the table; return its report, raise what it raises."""
    return STAGES[name](settings, progress=progress, **parameters)


def _locked(settings: Settings, role: str) -> AbstractContextManager[int]:
    """Return the pipeline's lock for a state that is ours; raise SettingsError if it is not."""
    claim_state(settings)
    return exclusive(settings.pipeline_lock, role=role, what=_LOCKED)


def _landed_and_built(
    settings: Settings, progress: Progress
) -> tuple[ExtractReport, LoadReport, TransformReport, PublishReport]:
    """Take what is in the source to a published build, opening the warehouse once."""
    from loaders.warehouse import connect

    extracted = _extract(settings, progress)
    with connect(settings):
        loaded = _load(settings, progress)
        return extracted, loaded, *transform_and_publish(settings, progress)


def extract_and_load(settings: Settings, progress: Progress) -> tuple[ExtractReport, LoadReport]:
    """Run both under a lock that the caller holds."""
    return _extract(settings, progress), _load(settings, progress)


def transform_and_publish(
    settings: Settings, progress: Progress
) -> tuple[TransformReport, PublishReport]:
    """Run both under a lock that the caller holds, opening the warehouse once."""
    from loaders.warehouse import connect

    with connect(settings):
        return _transform(settings, progress), _publish(settings, progress)


def _sync(settings: Settings, progress: Progress, *, role: str) -> SyncReport:
    from sync_agent.agent.once import SyncReport, sync_once

    if not settings.reads_transcripts:
        return SyncReport(left_to=_ELSEWHERE)
    report = sync_once(settings, role=role, progress=progress)
    return _told(settings, "sync", report)


def _ship(settings: Settings, progress: Progress, *, role: str) -> ShipReport | None:
    if settings.mongo_uri is None:
        return None
    from sync_agent.agent.shipment import ShipReport, ship_once

    if not settings.reads_transcripts:
        return ShipReport(left_to=_ELSEWHERE)
    report = ship_once(settings, role=role, progress=progress)
    return _told(settings, "ship", report)


def _extract(
    settings: Settings, progress: Progress, *, full_backfill: bool = False
) -> ExtractReport:
    from flows.extraction import extract_all

    report = extract_all(settings, progress, full_backfill=full_backfill)
    return _told(settings, "extract", report)


def _load(settings: Settings, progress: Progress) -> LoadReport:
    from loaders.load import load as run

    return _told(settings, "load", run(settings, progress=progress))


def _transform(
    settings: Settings,
    progress: Progress,
    *,
    full_refresh: bool = False,
    run_tests: bool = False,
) -> TransformReport:
    from loaders.transform import transform as run

    report = run(settings, full_refresh=full_refresh, run_tests=run_tests, progress=progress)
    return _told(settings, "transform", report)


def _publish(settings: Settings, progress: Progress) -> PublishReport:
    from loaders.publish import publish as run
    from reports.status_file import write_status_file

    report = run(settings, progress=progress)
    if report.published:
        try:
            write_status_file(settings)
        except (AnalyticsError, OSError) as error:  # the build itself is published
            from annals.telemetry.logs import configure_logs_from, log_warning

            configure_logs_from(settings)
            log_warning("statusline.json was not written", reason=str(error))
    return _told(settings, "publish", report)


def _told(settings: Settings, stage: str, report: Report) -> Report:
    """Log what the stage did, where LOG_LEVEL asks for it."""
    if settings.log_level in ("debug", "info"):
        from annals.telemetry.logs import configure_logs_from, log_event

        configure_logs_from(settings)
        counters = {
            item.name: value
            for item in fields(report)
            if isinstance(value := getattr(report, item.name), int | float)
        }
        log_event("stage finished", stage=stage, **counters)
    return report
