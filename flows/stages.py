"""The pipeline as plain functions: each stage under its lock, and all of them in a row.

A stage function reports what it did in counters; run again with nothing new it does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.locks import exclusive
from analytics.settings import Settings
from analytics.telemetry import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport
    from sync_agent.once import SyncReport

_LOCKED = "the pipeline"


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What each stage did; ``nothing_new`` says that none of them had anything to do."""

    sync: SyncReport
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
            "records_extracted": self.extract.records_read,
            "snapshots_committed": self.extract.snapshots_committed,
            "data_files_new": self.load.files_new,
            "rows_scanned": self.load.rows_scanned + self.transform.rows_scanned,
            "models_built": self.transform.models_built,
            "sessions_rebuilt": self.transform.sessions_rebuilt,
        }


def sync(settings: Settings, *, progress: Progress = NO_PROGRESS) -> SyncReport:
    """Read what is new in the transcripts into the buffer."""
    from sync_agent.once import sync_once

    return sync_once(settings, progress=progress)


def extract(
    settings: Settings, *, full_backfill: bool = False, progress: Progress = NO_PROGRESS
) -> ExtractReport:
    """Append what is new in the buffer to the lake.

    Raises LockedError (exit 7) where another process runs the pipeline or a stage of it.
    """
    from extractors import extract as stage

    with exclusive(settings.pipeline_lock, role="extract", what=_LOCKED):
        return stage.extract(settings, full_backfill=full_backfill, progress=progress)


def load(settings: Settings, *, progress: Progress = NO_PROGRESS) -> LoadReport:
    """Make new data files of the lake visible to the warehouse; raises as :func:`extract`."""
    from loaders import load as stage

    with exclusive(settings.pipeline_lock, role="load", what=_LOCKED):
        return stage.load(settings, progress=progress)


def transform(
    settings: Settings, *, full_refresh: bool = False, progress: Progress = NO_PROGRESS
) -> TransformReport:
    """Rebuild what the loaded batches touch with dbt; raises as :func:`extract`."""
    from loaders import transform as stage

    with exclusive(settings.pipeline_lock, role="transform", what=_LOCKED):
        return stage.transform(settings, full_refresh=full_refresh, progress=progress)


def publish(settings: Settings, *, progress: Progress = NO_PROGRESS) -> PublishReport:
    """Publish the built gold for readers; raises as :func:`extract`."""
    from loaders import publish as stage

    with exclusive(settings.pipeline_lock, role="publish", what=_LOCKED):
        return stage.publish(settings, progress=progress)


def pipeline(settings: Settings, *, progress: Progress = NO_PROGRESS) -> PipelineReport:
    """Take the transcripts all the way to a published build, holding the lock throughout.

    Raises what the stages raise; everything a stage committed before that is kept, and the next
    run goes on from there. Raises LockedError (exit 7) where another process runs it.
    """
    from extractors import extract as extracting
    from loaders import load as loading
    from loaders import publish as publishing
    from loaders import transform as transforming
    from sync_agent.once import sync_once

    with exclusive(settings.pipeline_lock, role="pipeline", what=_LOCKED):
        return PipelineReport(
            sync=sync_once(settings, progress=progress),
            extract=extracting.extract(settings, progress=progress),
            load=loading.load(settings, progress=progress),
            transform=transforming.transform(settings, progress=progress),
            publish=publishing.publish(settings, progress=progress),
        )
