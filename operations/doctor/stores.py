"""Checks of what lies behind the buffer: MongoDB, lake, warehouse, builds."""

from __future__ import annotations

import importlib
import os
from typing import Any

from annals.errors import AnalyticsError
from annals.lake import is_elsewhere, lake_place
from annals.settings import Settings
from operations.doctor.findings import Finding, broken, doubtful, fine

_SECONDS = 5.0


def mongo(settings: Settings) -> list[Finding]:
    """Return whether the server that MONGO_URI names answers, and lets this user in."""
    if settings.mongo_uri is None:
        return [fine("mongodb", "MONGO_URI is not set: the buffer itself is the source")]
    try:
        remote: Any = importlib.import_module("sync_agent.shipping.mongo").Remote(settings)
    except ModuleNotFoundError as error:
        remedy = "Install Annals again with all its packages (make install)."
        return [broken("mongodb", f"{error.name} is not installed", remedy=remedy)]
    except AnalyticsError as error:
        return [broken("mongodb", error.message, remedy=error.hint)]
    try:
        with remote.within(_SECONDS):
            remote.agent("doctor")
            deletions = _deletions(remote)
    except AnalyticsError as error:
        return [broken("mongodb", error.message, remedy=error.hint)]
    finally:
        remote.close()
    return [fine("mongodb", f"the server answers, database {settings.mongo_db}"), *deletions]


def _deletions(remote: Any) -> list[Finding]:
    """Return what on the server deletes documents by itself, or that it may not be asked."""
    remedy = (
        "Drop that index, or make the collection again without a limit; then `annals pipeline`"
        " ships what is gone, from where the buffer is."
    )
    try:
        return [broken("mongodb", says, remedy=remedy) for says in remote.deletions()]
    except AnalyticsError as error:
        says = f"whether the server deletes documents is not known: {error.message}"
        return [doubtful("mongodb", says, remedy=error.hint)]


def lake(settings: Settings) -> list[Finding]:
    """Return whether lake, warehouse and builds are there, and in an order that can be."""
    if is_elsewhere(settings):
        return [_lake_elsewhere(settings), *_builds(settings)]
    folder, warehouse = settings.lake_folder, settings.warehouse_file
    has_lake = folder.is_dir() and any(folder.iterdir())
    if not has_lake and warehouse.exists():
        remedy = "Restore the lake from its backup, or set ICEBERG_WAREHOUSE_PATH to it."
        return [broken("lake", f"{warehouse} is there and the lake {folder} is not", remedy=remedy)]
    if not has_lake:
        return [fine("lake", "there is none yet; `annals pipeline` makes it")]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            remedy = "Mount it read-write, or set ICEBERG_WAREHOUSE_PATH to another disk."
            return [broken("lake", f"{folder} is on a read-only file system", remedy=remedy)]
        remedy = "Give this user the right to read and write it (chmod -R u+rwX)."
        return [broken("lake", f"{folder} may not be written", remedy=remedy)]
    return [*_lake_here(settings), *_builds(settings)]


def _lake_here(settings: Settings) -> list[Finding]:
    """Return whether the lake's catalog and newest metadata can be read where they are."""
    stage: Any = importlib.import_module("loaders.lake")
    try:
        stage.read_head(settings)
    except AnalyticsError as error:
        return [broken("lake", error.message, remedy=error.hint)]
    return [fine("lake", f"{settings.lake_folder} is there")]


def _lake_elsewhere(settings: Settings) -> Finding:
    """Return whether catalog server and object store answer, and let this user in."""
    stage: Any = importlib.import_module("loaders.lake")
    try:
        lake = stage.open_lake(settings)
        files = len(lake.changes(None, {}).new) if lake else 0
    except AnalyticsError as error:
        return broken("lake", error.message, remedy=error.hint)
    place = lake_place(settings)
    if lake is None and settings.warehouse_file.exists():
        remedy = "Restore the lake from its backup, or correct ICEBERG_CATALOG_URI."
        message = f"{settings.warehouse_file} is there and the lake ({place}) is not"
        return broken("lake", message, remedy=remedy)
    if lake is None:
        return fine("lake", "the catalog answers; no lake exists yet")
    return fine("lake", f"{place} is there, with {files} data files")


def _builds(settings: Settings) -> list[Finding]:
    current = settings.builds_folder / "current"
    if not current.is_symlink() or current.exists():
        return []
    remedy = "`annals publish` makes a new one."
    return [doubtful("builds", f"{current} leads to a build that is gone", remedy=remedy)]
