"""Recover from damage without a person, from copies on this machine, and run the stage again.

The warehouse is made from the lake, so a damaged one is set aside and made again. The lake is
repaired from its own undamaged pages, from transcripts and from the buffer or MongoDB; if these do
not have everything, the error stays, and nothing was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from annals.errors import AnalyticsError, LakeDamageError, WarehouseError
from annals.settings import Settings

if TYPE_CHECKING:
    from extractors.repair import RepairReport

ATTEMPTS = 3

Result = TypeVar("Result")


def recovering(settings: Settings, run: Callable[[], Result]) -> Result:
    """Return what ``run`` returns; after damage that could be repaired it is run again."""
    for _ in range(ATTEMPTS):
        try:
            return run()
        except (LakeDamageError, WarehouseError) as error:
            if not recover(settings, error):
                raise
    return run()


def set_aside_suspect(settings: Settings) -> None:
    """Set the warehouse aside if `validate --deep` found damage in it, so that it is made again."""
    if not settings.suspect_warehouse.exists():
        return
    from loaders.damaged import set_aside_if_damaged

    kept = set_aside_if_damaged(settings)
    settings.suspect_warehouse.unlink(missing_ok=True)
    _log(settings, "suspect warehouse read", kept=kept)


def recover(settings: Settings, error: AnalyticsError) -> bool:
    """Repair what ``error`` says is damaged; return whether it makes sense to run again."""
    if isinstance(error, WarehouseError):
        from loaders.damaged import set_aside_if_damaged

        kept = set_aside_if_damaged(settings)
        _log(settings, "warehouse set aside", kept=kept)
        return kept is not None
    if "moved_from" in error.context:
        return False
    report = repaired(settings)
    if report is None or not report.is_complete:
        return False
    _log(settings, "lake repaired", files=len(report.files), rows=report.rows_appended)
    return bool(report.files or report.recovered_metadata)


def repaired(settings: Settings) -> RepairReport | None:
    """Repair the lake from local copies; None if even its metadata has no whole version."""
    from extractors.repair import repair_lake

    try:
        return repair_lake(settings)
    except LakeDamageError:
        return None


def _log(settings: Settings, event: str, **values: object) -> None:
    from annals.telemetry.logs import configure_logs_from, log_event

    configure_logs_from(settings)
    log_event(event, **{name: str(value) for name, value in values.items()})
