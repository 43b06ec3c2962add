"""Checks of the agent: its transcripts, its buffer, its process, its service."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from annals.errors import AnalyticsError
from annals.settings import Settings
from annals.settings.roots import missing_root_hint
from operations.doctor.findings import Finding, broken, doubtful, fine
from sync_agent.reading.expiry import SOON_DAYS, cleanup_days, expiry

if TYPE_CHECKING:
    from sync_agent.agent.agent_status import SyncStatus

_CHECKED_BYTES = 1_000_000_000
_LONG_LOG_BYTES = 256 * 1024 * 1024
_DAY_SECONDS = 86_400


def transcripts(root: Path) -> list[Finding]:
    """Return whether the transcripts can be read."""
    if not root.is_dir():
        what = f"there is no folder {root}"
        return [broken("transcripts", what, remedy=missing_root_hint(root))]
    if not os.access(root, os.R_OK | os.X_OK):
        remedy = "Give this user the right (chmod -R u+rX)."
        return [broken("transcripts", f"{root} may not be read", remedy=remedy)]
    return [fine("transcripts", f"{root} can be read")]


def retention(root: Path, last_read_at: int | None) -> list[Finding]:
    """Return whether transcripts are read well before Claude Code deletes them.

    It deletes them after ``cleanupPeriodDays`` of its settings.json, 30 where that says nothing.
    ``last_read_at`` is in microseconds.
    """
    path = root.parent / "settings.json"
    try:
        days = cleanup_days(root)
    except (OSError, ValueError, AttributeError):
        remedy = f"Correct {path}; Claude Code itself ignores what it cannot read."
        return [doubtful("retention", f"{path} is not a JSON object", remedy=remedy)]
    says = f"Claude Code deletes transcripts after {days} days"
    age = None if last_read_at is None else time.time() - last_read_at / 1e6
    if age is None or age > days * _DAY_SECONDS / 2:
        return [
            doubtful(
                "retention",
                f"{says}, and nothing was read {'yet' if age is None else 'for half that time'}",
                remedy=f'Run the agent, or set "cleanupPeriodDays": 3650 in {path}.',
            )
        ]
    return [fine("retention", says)]


def deletions(settings: Settings) -> list[Finding]:
    """Return how many transcripts Claude Code has deleted and will soon; all of them are kept."""
    from sync_agent.reading.ledger import custody

    try:
        gone, soon = custody(settings).files_vanished, expiry(settings)
    except AnalyticsError:
        return []  # a check of its own says what is wrong
    due = f", and {soon.due:,} are due within {SOON_DAYS} days" if soon else ""
    says = f"{gone:,} transcripts are deleted and kept here{due}"
    return [fine("deletions", f"{says}: `annals sessions restore ID` brings one back")]


def buffer(settings: Settings) -> list[Finding]:
    """Return whether the buffer is sound; a large one is not read as a whole."""
    from sync_agent.buffer.legacy_file import is_legacy

    path = settings.sqlite_path
    if not path.exists():
        return [_place(path)]
    if is_legacy(path):
        says = f"{path} is of the original service; the next sync sets it aside"
        return [doubtful("buffer", says, remedy="Stop that service, then run `annals sync once`.")]
    try:
        found = _unsound(path)
    except sqlite3.Error as error:
        remedy = "Run `annals sync once`: it sets a corrupt buffer aside and salvages it."
        return [broken("buffer", f"{path} cannot be read: {error}", remedy=remedy)]
    if found:
        return [found]
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        remedy = f"Make {path.parent} and the files in it writable, or set SQLITE_PATH elsewhere."
        return [broken("buffer", f"{path} may not be written", remedy=remedy)]
    return [fine("buffer", f"{path} is sound"), *_log(path)]


def _place(path: Path) -> Finding:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = f"Make {folder} a folder this user can write, or set SQLITE_PATH elsewhere."
        return broken("buffer", f"{path} cannot be made", remedy=remedy)
    return fine("buffer", f"{path} is not there yet; the first sync makes it")


def _unsound(path: Path) -> Finding | None:
    uri = f"file:{quote(bytes(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        names = {name for (name,) in connection.execute("select name from sqlite_master")}
        if names and "records" not in names:
            remedy = "Set SQLITE_PATH to a file of its own; this one is left untouched."
            says = f"{path} is an SQLite file of another program"
            return broken("buffer", says, remedy=remedy)
        sound = "ok"
        if path.stat().st_size <= _CHECKED_BYTES:
            (sound,) = connection.execute("pragma quick_check(1)").fetchone()
    if sound != "ok" or path.with_name(path.name + ".suspect").exists():
        remedy = "Run `annals sync once`: it sets the file aside, salvages it and reads on."
        return broken("buffer", f"{path} is corrupt: {sound}", remedy=remedy)
    return None


def _log(path: Path) -> list[Finding]:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size < _LONG_LOG_BYTES:
        return []
    return [
        doubtful(
            "buffer log",
            f"{wal.name} has grown to {size / 1e6:,.0f} MB",
            remedy="A program keeps the buffer open for reading; close it.",
        )
    ]


def standing(settings: Settings) -> SyncStatus | Finding:
    """Return how the agent stands, or the finding that says why that cannot be told."""
    from sync_agent.agent.agent_status import sync_status

    try:
        return sync_status(settings)
    except AnalyticsError as error:
        return broken("agent", error.message, remedy=error.hint)


def agent(now: SyncStatus, *, ships: bool) -> list[Finding]:
    """Return whether an agent runs, and whether anything waits for too long or was refused."""
    from annals.watching.watcher import WATCHES_REMEDY

    findings = []
    if now.holder:
        findings.append(fine("agent", f"the buffer is held by {now.holder}"))
    else:
        remedy = "`annals sync install systemd` (or launchd, pm2), or `annals sync run`."
        findings.append(doubtful("agent", "no agent runs", remedy=remedy))
    if now.folders_polled:
        says = f"{now.folders_polled:,} folders are polled: the system has no watch left for them"
        findings.append(doubtful("file events", says, remedy=f"Watches: {WATCHES_REMEDY}."))
    if now.dead_letters:
        remedy = "`annals sync quarantine list` says why; then `annals sync quarantine retry`."
        says = f"the server refused {now.dead_letters:,} records"
        findings.append(doubtful("dead letters", says, remedy=remedy))
    oldest = now.oldest_pending_at
    if ships and oldest is not None and time.time() - oldest / 1e6 > _DAY_SECONDS:
        remedy = "See the check of MongoDB; then `annals sync flush`."
        says = f"{now.pending:,} records wait, the oldest for more than a day"
        findings.append(doubtful("shipping", says, remedy=remedy))
    return findings


def service(home: Path) -> list[Finding]:
    """Return whether the agent is a service that starts by itself."""
    from sync_agent.agent.installing import installed

    found = list(installed(home))
    if not found:
        remedy = "`annals sync install systemd` (or launchd, pm2)."
        return [doubtful("service", "the agent starts by nothing but you", remedy=remedy)]
    return [
        doubtful(
            "service",
            f"{one.file} is installed and not enabled",
            remedy=f"`annals sync install {one.manager}`.",
        )
        if one.enabled is False
        else fine("service", f"{one.manager} has {one.file}")
        for one in found
    ]
