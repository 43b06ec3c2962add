"""Settings that are right one by one and cannot work in the stack, said before it is started."""

from __future__ import annotations

import os

from annals.errors import SettingsError
from annals.settings.stack import Given
from operations.mongo_uri import require_mongo


def refuse_contradictions(given: Given) -> None:
    """Raise SettingsError (exit 3) with the file, the line and the name of what cannot work."""
    require_mongo(given.settings, place=given.place("mongo_uri"))
    _prices(given)


def _prices(given: Given) -> None:
    path = given.settings.prices_csv
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        raise SettingsError(
            f"{given.place('prices_csv')}: there is no file {path} that you may read",
            hint="Name a file of this machine; it is mounted into the worker, read-only.",
        )
