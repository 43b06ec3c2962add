"""Annals: every conversation that coding agents write to disk, kept, priced and explained."""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself takes longer to import than a status line has
if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from analytics.notebook import Build


def open(  # noqa: A001 -- analytics.open() is the name that notebooks use
    build: str | Path | None = None, as_of: date | datetime | str | None = None
) -> Build:
    """Open a published build (:func:`analytics.notebook.open_build`)."""
    from analytics.notebook import open_build  # noqa: PLC0415 -- commands start without it

    return open_build(build, as_of)
