"""The passwords of the stack: made once, into a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from annals.errors import SettingsError
from annals.settings.dotenv import last_assignments

FILE = ".env.secrets"

NAMES = (
    "MONGO_ROOT_PASSWORD",
    "MONGO_AGENT_PASSWORD",
    "MONGO_EXTRACTOR_PASSWORD",
    "POSTGRES_PASSWORD",
    "PREFECT_PASSWORD",
    "METABASE_ENCRYPTION_KEY",
    "OBJECT_STORE_KEY_ID",
    "OBJECT_STORE_SECRET_KEY",
    "GRAFANA_ADMIN_PASSWORD",
    "GRAFANA_SECRET_KEY",
)

_HEAD = """\
# Passwords of the stack, made by `make up`. Keep a copy with your backups: MongoDB, PostgreSQL,
# Metabase and Grafana were set up with them, and their volumes cannot be opened with others.
"""
_BYTES = 24
_SHORTEST = 12
_PRIVATE = 0o600


def ensure_passwords(path: Path) -> tuple[str, ...]:
    """Make the passwords that the file lacks, and return their names; what is there stays.

    Raises SettingsError (exit 3) where one in the file is too short to be one.
    """
    present = last_assignments(path)
    for name in NAMES:
        one = present.get(name.lower())
        if one is not None and len(one.value) < _SHORTEST:
            raise SettingsError(
                f"{one.place}: {name} is shorter than {_SHORTEST} characters",
                hint="Remove the line while the service is new, and `make up` makes a good one.",
                path=path,
                line=one.line,
            )
    missing = tuple(name for name in NAMES if name.lower() not in present)
    if missing:
        made = "".join(f"{name}={secrets.token_hex(_BYTES)}\n" for name in missing)
        write_private(path, (path.read_text(encoding="utf-8") if path.exists() else _HEAD) + made)
    path.chmod(_PRIVATE)
    return missing


def write_private(path: Path, text: str) -> None:
    """Write the file at once, for its owner alone from the beginning."""
    half = path.with_name(f"{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    half.replace(path)
