"""The places that containers may send data to, without asking again."""

from __future__ import annotations

from annals.settings import Settings
from annals.settings.destinations import named_places
from operations.stack.inside import HOST_NAME_INSIDE

STACK_PLACES = ("prefect-server", "mongodb", "rest-catalog", "object-store", HOST_NAME_INSIDE)
"""The stack's services, and this machine as they call it; docker-compose.yml lists the same."""

SENT = ("mongo_uri", "iceberg_catalog_uri", "s3_endpoint", "notify_url", "outbound_proxy")
"""The settings of ``make up`` that name places; the Prefect server is the stack's own."""


def with_stack_places(settings: Settings) -> Settings:
    """Return the settings with the stack's own services allowed."""
    listed = ",".join(filter(None, (settings.allow_destinations, *STACK_PLACES)))
    return settings.model_copy(update={"allow_destinations": listed})


def allowed_inside(settings: Settings) -> str:
    """Return ALLOW_DESTINATIONS for the containers: the list, and what the settings name."""
    return named_places(settings, SENT)
