"""What can be said of MONGO_URI before anybody connects to it."""

from __future__ import annotations

import contextlib

from annals.errors import DependencyError, SettingsError
from annals.settings import Settings


def require_mongo(settings: Settings, *, place: str = "") -> None:
    """Raise SettingsError for a MONGO_URI or MONGO_DB with which nothing could be reached.

    ``place`` says where it was set. A server that is away, or a name that cannot be looked up now,
    keeps nothing from starting.
    """
    if settings.mongo_uri is None:
        return
    from extractors.mongo import MongoSource

    try:
        with contextlib.suppress(DependencyError):
            MongoSource(settings).close()  # it connects only when it is asked something
    except SettingsError as error:
        if not place:
            raise
        raise SettingsError(f"{place}: {error.message}", hint=error.hint or "") from error
