"""Checks of what lies behind the buffer: MongoDB, lake, warehouse, builds."""

from __future__ import annotations

import importlib
import os
from typing import Any

from analytics.errors import AnalyticsError
from analytics.settings import Settings
from flows.doctor.findings import Finding, broken, doubtful, fine

_SECONDS = 5.0


def mongo(settings: Settings) -> list[Finding]:
    """Return whether the server that MONGO_URI names answers, and lets this user in."""
    if settings.mongo_uri is None:
        return [fine("mongodb", "MONGO_URI is not set: the buffer itself is the source")]
    try:
        remote: Any = importlib.import_module("sync_agent.mongo").Remote(settings)
    except ModuleNotFoundError as error:
        remedy = "Install Annals again with all its packages (make install)."
        return [broken("mongodb", f"{error.name} is not installed", remedy=remedy)]
    except AnalyticsError as error:
        return [broken("mongodb", error.message, remedy=error.hint)]
    try:
        with remote.within(_SECONDS):
            remote.agent("doctor")
    except AnalyticsError as error:
        return [broken("mongodb", error.message, remedy=error.hint)]
    finally:
        remote.close()
    return [fine("mongodb", f"the server answers, database {settings.mongo_db}")]


def lake(settings: Settings) -> list[Finding]:
    """Return whether lake, warehouse and builds are there, and in an order that can be."""
    folder, warehouse = settings.lake_folder, settings.warehouse_file
    has_lake = folder.is_dir() and any(folder.iterdir())
    if not has_lake and warehouse.exists():
        remedy = "Restore the lake from its backup, or set ICEBERG_WAREHOUSE_PATH to it."
        return [broken("lake", f"{warehouse} is there and the lake {folder} is not", remedy=remedy)]
    if not has_lake:
        return [fine("lake", "there is none yet; `annals pipeline` makes it")]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = "Give this user the right to read and write it (chmod -R u+rwX)."
        return [broken("lake", f"{folder} may not be written", remedy=remedy)]
    findings = [fine("lake", f"{folder} is there")]
    current = settings.builds_folder / "current"
    if current.is_symlink() and not current.exists():
        findings.append(
            doubtful(
                "builds",
                f"{current} leads to a build that is gone",
                remedy="`annals publish` makes a new one.",
            )
        )
    return findings
