"""One task for each stage: the function the command line calls, with retries and its asset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect.assets import Asset
from prefect.context import AssetContext
from prefect.logging import get_run_logger
from prefect.tasks import MaterializingTask, Task

from annals.settings import Settings
from annals.text import one_line
from flows.prefect import assets
from flows.prefect.outcome import may_succeed_later
from flows.prefect.work import Work
from flows.stages import run_stage
from flows.validation import promises as validation

if TYPE_CHECKING:
    from flows.validation.promises import ValidationReport

_JITTER = 0.2
_WAITS_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a stage makes of what, and the counters of its report that say that it did."""

    of: Callable[[Settings], Asset]
    makes: Callable[[Settings], Asset]
    news: tuple[str, ...]


_STAGES = {
    "sync": _Stage(
        lambda _: assets.TRANSCRIPTS, lambda _: assets.BUFFER, ("entries_new", "quarantined_new")
    ),
    "ship": _Stage(lambda _: assets.BUFFER, lambda _: assets.SERVER, ("records_shipped",)),
    "extract": _Stage(assets.source, assets.lake, ("snapshots_committed",)),
    "load": _Stage(assets.lake, lambda _: assets.RAW, ("files_new",)),
    "transform": _Stage(lambda _: assets.RAW, assets.gold, ("models_built",)),
    "publish": _Stage(assets.gold, lambda _: assets.PUBLISHED, ("published",)),
}


def run(work: Work, name: str, **parameters: Any) -> Any:
    """Run a stage of :mod:`flows.stages` as a task; return its report.

    The task makes one asset of another if there is something new; what was refused is logged as a
    warning.
    """
    stage = _STAGES[name]

    def materialized(work: Work) -> Any:
        report = work.timed(
            name,
            lambda: run_stage(name, work.settings, progress=work.progress, **parameters),
        )
        context = AssetContext.get()
        if context and not any(getattr(report, counter, 0) for counter in stage.news):
            context.downstream_assets.clear()  # nothing was made, so no event says so
        return report

    task = MaterializingTask(
        materialized,
        assets=[stage.makes(work.settings)],
        asset_deps=[stage.of(work.settings)],
        **_options(work, name),
    )
    report = task(work)
    for sentence in getattr(report, "refusals", ()):
        get_run_logger().warning("%s", one_line(sentence))
    return report


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


def validate(work: Work, *, deep: bool) -> ValidationReport:
    """Check every promise; nothing is changed, so nothing is made."""

    def checked(work: Work) -> ValidationReport:
        report: ValidationReport = work.timed(
            "validate", lambda: validation.validate(work.settings, deep=deep)
        )
        return report

    return Task(checked, **_options(work, "validate"))(work)
