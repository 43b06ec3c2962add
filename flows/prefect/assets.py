"""The stations of the data as Prefect assets, so that its events show what came from what.

Keys name stations, not places: no path or address of a machine is in them.
"""

from __future__ import annotations

from prefect.assets import Asset, AssetProperties

from annals.secrecy import link_address
from annals.settings import Settings


def _asset(key: str, name: str, description: str, url: str | None = None) -> Asset:
    properties = AssetProperties(name=name, description=description, url=url)
    return Asset(key=key, properties=properties)


TRANSCRIPTS = _asset("annals://transcripts", "Transcripts", "What coding agents write to disk.")
BUFFER = _asset("annals://buffer", "Buffer", "The sync agent's durable buffer of records.")
SERVER = _asset("annals://mongodb/conversations", "MongoDB", "The records that agents shipped.")
RAW = _asset("annals://warehouse/raw", "Warehouse: raw", "Views over the lake's data files.")
PUBLISHED = _asset("annals://published/current", "Published build", "What every reader reads.")


def lake(settings: Settings) -> Asset:
    """Return the lake's table."""
    table = f"{settings.iceberg_namespace}/{settings.iceberg_table_name}"
    return _asset(f"annals://lake/{table}", "Lake", "Every entry with its bytes; the root of all.")


def gold(settings: Settings) -> Asset:
    """Return the gold models, with the address of their docs."""
    description = "The star schema that dbt builds: bronze, silver, gold."
    link = link_address(settings.dbt_docs_url)
    return _asset("annals://warehouse/gold", "Warehouse: gold", description, link)


def source(settings: Settings) -> Asset:
    """Return where records are extracted from."""
    return SERVER if settings.mongo_uri else BUFFER
