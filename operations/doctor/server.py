"""Check of the Prefect server that settings name: whether it answers and takes our login."""

from __future__ import annotations

from annals.errors import AnalyticsError
from annals.prefect_api import find_login
from annals.secrecy import shown_address
from annals.settings import Settings
from flows.prefect.reaching import require_server
from operations.doctor.findings import Finding, broken, fine


def prefect(settings: Settings) -> list[Finding]:
    """Return how the server at PREFECT_API_URL is; nothing if no setting names one."""
    if settings.prefect_api_url is None:
        return []
    try:
        require_server(settings)
        login = "takes the login" if find_login(settings) else "asks for no login"
    except AnalyticsError as error:
        return [broken("prefect", error.message, remedy=error.hint)]
    return [fine("prefect", f"{shown_address(settings.prefect_api)} answers and {login}")]
