"""``statusline.json``: the few figures of a build that a status bar shows, beside the builds.

``annals statusline`` reads it without a database (:mod:`annals.statusline`), so every publish
writes it. Costs are in whole nano-dollars, instants in seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

from annals.files import replace_text
from annals.settings import Settings
from loaders.warehouse import Connection, open_build
from reports.blocks import newest_block
from reports.groups import daily, days_of
from reports.usage import Window, build_facts

STATUS_FILE = "statusline.json"
_SCHEMA_VERSION = 1
_DAYS_KEPT = 62
"""Enough for this month and the last one, whenever the file is read."""


def write_status_file(settings: Settings) -> None:
    """Write the figures of the current build; raises WarehouseError where none is published."""
    with contextlib.closing(open_build(settings)) as build:
        text = json.dumps(_figures(build, settings.timezone))
    replace_text(settings.builds_folder / STATUS_FILE, text)


def _figures(build: Connection, timezone: str) -> dict[str, Any]:
    _, newest = days_of(build)
    since = newest - timedelta(days=_DAYS_KEPT) if newest else None
    window = Window(timezone, since)
    days = daily(build, window)
    return {
        "schema_version": _SCHEMA_VERSION,
        "build_id": build_facts(build)["build_id"],
        "timezone": timezone,
        "days": {str(day.keys[0]): day.figures.cost_nano_usd or 0 for day in days if day.keys[0]},
        "block": _newest_block(build, window),
    }


def _newest_block(build: Connection, window: Window) -> dict[str, Any] | None:
    """Return the block of the newest response; the reader decides whether it is active."""
    newest = newest_block(build, window)
    if newest is None or newest.start is None or newest.end is None or newest.last is None:
        return None
    return {
        "start": int(newest.start.timestamp()),
        "end": int(newest.end.timestamp()),
        "last": int(newest.last.timestamp()),
        "tokens": newest.figures.total_tokens,
        "cost_nano_usd": newest.figures.cost_nano_usd or 0,
    }
