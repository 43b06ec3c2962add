"""The stage functions of :mod:`flows.stages`, run as flows in this process.

Prefect's server keeps the record of them; they work with the caller's settings, return the same
reports and raise the same errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prefect import tags

from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from flows.prefect import pipeline as through
from flows.prefect import stages
from flows.prefect.work import given
from flows.stages import PipelineReport

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from loaders.load import LoadReport
    from loaders.publish import PublishReport
    from loaders.transform import TransformReport


def extract(
    settings: Settings, *, full_backfill: bool = False, progress: Progress = NO_PROGRESS
) -> ExtractReport:
    """Append what is new in the source to the lake."""
    with _tracked(settings, progress):
        return stages.extract(full_backfill=full_backfill)


def load(settings: Settings, *, progress: Progress = NO_PROGRESS) -> LoadReport:
    """Make new data files of the lake visible to the warehouse."""
    with _tracked(settings, progress):
        return stages.load()


def transform(
    settings: Settings,
    *,
    full_refresh: bool = False,
    run_tests: bool = False,
    progress: Progress = NO_PROGRESS,
) -> TransformReport:
    """Rebuild what the loaded batches touch."""
    with _tracked(settings, progress):
        return stages.transform(full_refresh=full_refresh, run_tests=run_tests)


def publish(settings: Settings, *, progress: Progress = NO_PROGRESS) -> PublishReport:
    """Publish the built gold for readers."""
    with _tracked(settings, progress):
        return stages.publish()


def pipeline(
    settings: Settings, *, work_ahead: bool = False, progress: Progress = NO_PROGRESS
) -> PipelineReport:
    """Take the transcripts all the way to a published build.

    ``work_ahead`` changes nothing here: each stage is a task, and they come one after the other.
    """
    del work_ahead
    with _tracked(settings, progress):
        return through.pipeline()


@contextlib.contextmanager
def _tracked(settings: Settings, progress: Progress) -> Iterator[None]:
    with given(settings, progress), tags("annals", "command-line"):
        yield
