"""What has to hold before anything is started, each with its remedy."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import sqlite3
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from annals.errors import DiskFullError, LockedError, SettingsError
from annals.files import read_state_text, replace_text
from annals.settings import Settings
from annals.settings.dotenv import settings_lines
from annals.settings.files import settings_file
from flows.running_services import folder_of
from operations.mongo_uri import require_mongo
from operations.services.services import Platform, prefect_home

_LEAST_BYTES = 500_000_000
_LEAST_MEMORY = 900_000_000
_REMEDIES = {
    "agent": "set HEALTH_PORT to another one (0 for none)",
    "prefect": "set PREFECT_API_URL=http://127.0.0.1:PORT/api with another one",
    "docs": "set DBT_DOCS_URL=http://127.0.0.1:PORT with another one",
}


def require_prefect() -> None:
    """Raise SettingsError where Prefect is not installed."""
    if importlib.util.find_spec("prefect") is None:
        raise SettingsError(
            "Prefect is not installed here, and server and worker need it",
            hint="Run `make platform`, then `annals up` again; `annals sync run` with"
            " PIPELINE_TRIGGER=local does without.",
        )


def require_known_mongo(settings: Settings) -> None:
    """Raise SettingsError where the agent would end at once for MONGO_URI or MONGO_DB."""
    line = settings_lines(settings_file()).get("mongo_uri")
    given = settings.mongo_uri.get_secret_value() if settings.mongo_uri else None
    require_mongo(settings, place=line.place if line and line.value == given else "")


def require_space(settings: Settings, say: Callable[[str], None]) -> None:
    """Raise DiskFullError with too little disk; say it where memory may not do."""
    above = next(p for p in (settings.annals_home, *settings.annals_home.parents) if p.exists())
    free = shutil.disk_usage(above).free
    if free < _LEAST_BYTES:
        raise DiskFullError(
            f"{free / 1e6:,.0f} MB are free at {above}, and the platform needs"
            f" {_LEAST_BYTES / 1e6:,.0f}",
            hint="Make room, or set ANNALS_HOME to another disk.",
            path=above,
        )
    memory = _available_memory()
    if memory is not None and memory < _LEAST_MEMORY:
        say(f"warning: {memory / 1e6:,.0f} MB of memory are left; the platform takes about 700")


def require_ports(platform: Platform) -> None:
    """Raise LockedError (exit 7) naming the first port that another program or service has."""
    taken: dict[int, str] = {}
    for service in platform.services:
        if service.port is None:
            continue
        if service.port in taken:
            raise LockedError(
                f"{service.name} and {taken[service.port]} are both to use port {service.port}",
                hint=f"Set another port for one of them: {_REMEDIES[service.name]}.",
                port=service.port,
            )
        taken[service.port] = service.name
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", service.port))
            except OSError as error:
                raise LockedError(
                    f"port {service.port} of {service.name} is in use by another program",
                    hint=f"Stop that program, or {_REMEDIES[service.name]}.",
                    port=service.port,
                ) from error


def keep_old_database(settings: Settings) -> Path | None:
    """Copy Prefect's database where another version of Prefect wrote it; return the copy.

    The server brings an older database to its own version at its start, and there is no way back.
    """
    database = prefect_home(settings) / "prefect.db"
    note = folder_of(settings) / "prefect-version"
    now = version("prefect")
    before = read_state_text(note).strip() if note.exists() else "unknown"
    copy = None
    if database.exists() and before != now:
        copy = database.with_name(f"prefect.db.of-{before}")
        with (
            contextlib.closing(sqlite3.connect(database)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    replace_text(note, now)
    return copy


def _available_memory() -> int | None:
    """Return the bytes that are left, where the system tells."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
