"""Instants that the state holds, to tell whether the clock was ahead when one was noted."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from annals.errors import AnalyticsError
from annals.settings import Settings
from flows.history import last_run

_STAMP = re.compile(r"\d{8}T\d{6}Z")


def instants(settings: Settings) -> dict[str, float]:
    """Return the newest instant of each kind of thing in the state, in seconds since 1970."""
    newest: dict[str, float] = {}
    for name, seconds in _all(settings):
        newest[name] = max(seconds, newest.get(name, seconds))
    return newest


def _all(settings: Settings) -> Iterator[tuple[str, float]]:
    with contextlib.suppress(sqlite3.Error, OSError):
        uri = f"file:{quote(bytes(settings.sqlite_path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            (newest,) = connection.execute("select max(ingested_at) from records").fetchone()
            if newest is not None:
                yield "a record of the buffer", newest / 1e6
    with contextlib.suppress(AnalyticsError, ValueError, KeyError, TypeError):
        run = last_run(settings)
        if run is not None:
            yield "the last run", datetime.fromisoformat(str(run["started_at"])).timestamp()
    for what, folder in (
        ("a published build", settings.builds_folder / "builds"),
        ("a backup", settings.annals_home / "backups"),
    ):
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if match := _STAMP.search(path.name):
                    moment = datetime.strptime(match[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                    yield what, moment.timestamp()
