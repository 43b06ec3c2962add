"""Whether the Prefect server can be reached, asked before Prefect itself is loaded."""

from __future__ import annotations

import importlib.util
import os
import urllib.error
import urllib.request

from analytics.errors import DependencyError, SettingsError
from analytics.settings import Settings

_PATIENCE_SECONDS = 10


def reach(settings: Settings) -> str:
    """Return the server's address, having told Prefect and made sure that it answers.

    Raises SettingsError (exit 3) where Prefect is not installed, and DependencyError (exit 4) where
    nobody answers there.
    """
    if importlib.util.find_spec("prefect") is None:
        raise SettingsError(
            "Prefect is not installed here",
            hint="Run `make platform`, or leave out --prefect and PREFECT_API_URL.",
        )
    address = settings.prefect_api
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_PATIENCE_SECONDS):  # noqa: S310
            pass
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DependencyError(
            f"the Prefect server at {address} does not answer: {reason}",
            hint="Start it with `annals up` or `prefect server start`, or unset PREFECT_API_URL to"
            " run without it.",
            url=address,
        ) from error
    os.environ["PREFECT_API_URL"] = address
    return address
