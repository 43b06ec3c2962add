"""What a run left undone: exit code 6 and the state ``Partial`` come from one place."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from extractors.extract import ExtractReport
from flows.history import Run
from flows.partial import note_unfinished, unfinished
from flows.stages import PipelineReport
from loaders.load import LoadReport
from loaders.publish import PublishReport
from loaders.transform import TransformReport
from sync_agent.agent.once import SyncReport
from sync_agent.agent.shipment import ShipReport

WHOLE = PipelineReport(
    sync=SyncReport(),
    ship=ShipReport(),
    extract=ExtractReport(9, 9, 1, 1, 100),
    load=LoadReport(1, 9, 1, 1),
    transform=TransformReport(1, 0, 1, 9, full_refresh=False, seconds=1.0),
    publish=PublishReport("b", 1, 1, 0, published=True),
)
LEFT = ("unreadable", "missing", "dead_letters", "refused", "_quarantined", "lost", "failed")
"""Words by which a field says that something was not done."""

NAMES = sorted(
    f"{stage.name}.{item.name}"
    for stage in fields(WHOLE)
    for item in fields(getattr(WHOLE, stage.name))
    if any(word in item.name for word in LEFT)
)


def _with(name: str) -> PipelineReport:
    stage, _, field = name.partition(".")
    before = getattr(WHOLE, stage)
    value: Any = ("3 records are missing",) if field == "missing" else 3
    return replace(WHOLE, **{stage: replace(before, **{field: value})})


def test_a_whole_run_left_nothing() -> None:
    """A run without any such counter is whole, and so is a stage that did not run."""
    assert unfinished(WHOLE, None) == ()
    run = Run("pipeline", "2026-01-01T00:00:00+00:00")
    note_unfinished(run, WHOLE)
    assert (run.outcome, run.message) == ("ok", "")


@pytest.mark.parametrize("name", NAMES)
def test_whatever_was_left_makes_a_run_partial(name: str) -> None:
    """Each counter of what was not done, of whatever stage, makes a run partial and is told."""
    assert len(NAMES) >= 6
    (cause,) = unfinished(_with(name))
    assert "3" in cause
    run = Run("pipeline", "2026-01-01T00:00:00+00:00")
    note_unfinished(run, _with(name))
    assert (run.outcome, run.message) == ("PartialError", cause)


def test_ranges_that_are_no_records_leave_nothing_undone() -> None:
    """Bytes of a transcript that are not a record are kept as quarantine, as promised."""
    assert unfinished(replace(WHOLE, sync=SyncReport(quarantined_new=3))) == ()
