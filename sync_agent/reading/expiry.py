"""When Claude Code deletes transcripts: after a number of days without a change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from annals.limits import STATE_BYTES, parse_json, read_file
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import noted_files

DEFAULT_DAYS = 30
SOON_DAYS = 7
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Expiry:
    """How many of the files that are there will be deleted within ``SOON_DAYS``.

    ``first_days`` are the days until the first of all, None without files.
    """

    period_days: int
    due: int
    first_days: int | None


def cleanup_days(root: Path) -> int:
    """Return the days after which Claude Code deletes transcripts below ``root``.

    It is ``cleanupPeriodDays`` of its settings.json, 30 where that says nothing. Raises OSError,
    ValueError and AttributeError for a settings.json that cannot be read.
    """
    path = root.parent / "settings.json"
    try:
        found = parse_json(read_file(path, limit=STATE_BYTES)).get("cleanupPeriodDays")
    except FileNotFoundError:
        return DEFAULT_DAYS
    is_days = isinstance(found, int) and not isinstance(found, bool)
    return found if is_days else DEFAULT_DAYS


def expiry(settings: Settings) -> Expiry | None:
    """Return what Claude Code will delete soon; None if a settings.json cannot be read.

    The times are those that the buffer noted when it read the files.
    """
    try:
        periods = {bytes(root): cleanup_days(root) for root in settings.claude_dirs}
    except (OSError, ValueError, AttributeError):
        return None
    now, left = time.time(), []
    for path, noted in noted_files(settings).items():
        days = next((days for root, days in periods.items() if path.startswith(root + b"/")), None)
        if days is not None and noted.mtime_ns is not None:
            age = (now - noted.mtime_ns / 1e9) / _DAY_SECONDS
            left.append(max(0, int(days - age)))
    shortest = min(periods.values(), default=DEFAULT_DAYS)
    return Expiry(shortest, sum(one < SOON_DAYS for one in left), min(left, default=None))
