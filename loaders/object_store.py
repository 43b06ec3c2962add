"""DuckDB's way to a lake in an object store: its httpfs extension, and the keys for this process.

The extension comes from a package, so nothing is fetched at run time; the keys are a temporary
secret, which DuckDB never writes to a file.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from annals.errors import WarehouseError
from annals.lake import has_keys, is_elsewhere
from annals.settings import Settings
from annals.settings.destinations import require_allowed

_PACKAGE = "duckdb_extension_httpfs"
_SECRET = "annals_lake"  # noqa: S105 -- a name
_PATIENCE = ("http_timeout = 60", "http_retries = 3", "http_retry_wait_ms = 200")


class Connection(Protocol):
    """What is needed of a connection to DuckDB; the warehouse module has the class itself."""

    def execute(self, query: str, /) -> Any:
        """Run a statement."""


def reach_objects(connection: Connection, settings: Settings) -> None:
    """Let a connection, and all others of its process to the same file, read the lake's files.

    Does nothing for a lake on local disks, which is neither slower nor bigger for it.
    """
    if not is_elsewhere(settings) or not has_keys(settings):
        return
    require_allowed(settings, "s3_endpoint")
    known = connection.execute(
        "select count(*) from duckdb_extensions() where extension_name = 'httpfs' and loaded"
    ).fetchone()
    if known == (0,):
        # Secrets that other work keeps in ~/.duckdb would win where their scope is the bucket.
        connection.execute("set global allow_persistent_secrets = false")
        version = connection.execute("select version()").fetchone()
        connection.execute(f"load {_literal(str(extension_file(str(version and version[0]))))}")
        for setting in (*_PATIENCE, "enable_http_metadata_cache = true"):  # files never change
            connection.execute(f"set global {setting}")
        connection.execute(_secret(settings))


def extension_file(version: str) -> Path:
    """Return the httpfs extension of this version of DuckDB; raise WarehouseError without one."""
    found = importlib.util.find_spec(_PACKAGE)
    for place in (found.submodule_search_locations or ()) if found else ():
        path = Path(place) / "extensions" / version / "httpfs.duckdb_extension"
        if path.exists():
            return path
    raise WarehouseError(
        f"DuckDB {version} cannot read object stores here: its httpfs extension is not installed",
        hint=f"Install duckdb-extension-httpfs=={version.removeprefix('v')} (make install).",
    )


def _secret(settings: Settings) -> str:
    key, secret, token = (
        one.get_secret_value() if one else ""
        for one in (
            settings.aws_access_key_id,
            settings.aws_secret_access_key,
            settings.aws_session_token,
        )
    )
    options = {"key_id": key, "secret": secret, "region": settings.aws_region}
    if token:
        options["session_token"] = token
    if settings.s3_endpoint:
        parts = urlsplit(settings.s3_endpoint)
        options["endpoint"] = parts.netloc
        options["url_style"] = "path" if settings.s3_path_style else "vhost"
        options["use_ssl"] = str(parts.scheme == "https").lower()
    given = ", ".join(f"{name} {_literal(value)}" for name, value in options.items())
    return f"create or replace temporary secret {_SECRET} (type s3, {given})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
