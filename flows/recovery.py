"""Recover from damage without a person, from copies on this machine, and run the stage again.

The warehouse is made from the lake, so a damaged one is set aside and made again. The lake is
repaired from its own undamaged pages, from transcripts and from the buffer or MongoDB; if these do
not have everything, the error stays, and nothing was changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from annals.errors import AnalyticsError, LakeDamageError, WarehouseError
from annals.settings import Settings
from annals.text import one_line

if TYPE_CHECKING:
    from extractors.repair import RepairReport

ATTEMPTS = 3

Result = TypeVar("Result")


def recover_on_damage(settings: Settings, run: Callable[[], Result]) -> Result:
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
    _announce_rebuild(settings, kept)


def recover(settings: Settings, error: AnalyticsError) -> bool:
    """Repair what ``error`` says is damaged; return whether it makes sense to run again."""
    if isinstance(error, WarehouseError):
        from loaders.damaged import set_aside_if_damaged

        kept = set_aside_if_damaged(settings)
        _log(settings, "warehouse set aside", kept=kept)
        _announce_rebuild(settings, kept)
        return kept is not None
    if "moved_from" in error.context:
        return False
    report = repaired(settings)
    if report is None or not report.is_complete:
        return False
    _log(settings, "lake repaired", files=len(report.files), rows=report.rows_appended)
    _announce(
        f"the lake was damaged ({error.message}); repaired from local copies:"
        f" {len(report.files)} files, {report.rows_appended} rows appended"
    )
    return bool(report.files or report.recovered_metadata)


def repaired(settings: Settings) -> RepairReport | None:
    """Repair the lake from local copies; None if even its metadata has no whole version."""
    from extractors.repair import repair_lake

    try:
        return repair_lake(settings)
    except LakeDamageError:
        return None


def _announce_rebuild(settings: Settings, kept: Path | None) -> None:
    if kept is not None:
        _announce(
            f"the warehouse {settings.warehouse_file} was damaged; it is built again from the lake,"
            f" and the damaged file is kept as {kept}"
        )


def _announce(text: str) -> None:
    """Write a repair to standard error: it changes files that nobody asked to change."""
    sys.stderr.write(one_line(f"note: {text}") + "\n")


def _log(settings: Settings, event: str, **values: object) -> None:
    from annals.telemetry.logs import configure_logs_from, log_event

    configure_logs_from(settings)
    log_event(event, **{name: str(value) for name, value in values.items()})
