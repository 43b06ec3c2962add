"""Where the lake is: its folder, or the catalog server and the object store that settings name."""

from __future__ import annotations

from urllib.parse import urlsplit

from annals.errors import SettingsError
from annals.settings import Settings
from annals.settings.addresses import web_destination
from annals.settings.harmless import shown_setting

STORE_SCHEMES = ("s3://", "s3a://", "s3n://")
"""How locations in an object store begin."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""How long catalog and object store may take for a connection, and for an answer."""


def is_elsewhere(settings: Settings) -> bool:
    """Tell whether a catalog server, and not this program, says where the lake's files are."""
    return settings.iceberg_catalog_type == "rest"


def lake_place(settings: Settings) -> str:
    """Return where the lake is, for people: its folder, or table and catalog without a password."""
    if not is_elsewhere(settings):
        return str(settings.lake_folder)
    table = f"{settings.iceberg_namespace}.{settings.iceberg_table_name}"
    return f"{table} in the catalog {catalog_address(settings)}"


def catalog_address(settings: Settings) -> str:
    """Return ICEBERG_CATALOG_URI for people, without what is secret in it."""
    return shown_setting("iceberg_catalog_uri", settings.iceberg_catalog_uri)


def server_uri(settings: Settings) -> str:
    """Return ICEBERG_CATALOG_URI; raise SettingsError where it is not an address of a server."""
    given = settings.iceberg_catalog_uri.get_secret_value() if settings.iceberg_catalog_uri else ""
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = "is not an address of a server" if given else "is not set"
        raise SettingsError(
            f"ICEBERG_CATALOG_TYPE is rest, but ICEBERG_CATALOG_URI {what}",
            hint="Set ICEBERG_CATALOG_URI to the catalog server, such as http://localhost:8181",
        )
    return given


def rest_properties(settings: Settings) -> dict[str, str]:
    """Return what Iceberg's library gets about the catalog server and the object store.

    The server's address is without user and password. Raises SettingsError where it is missing.
    """
    parts = urlsplit(server_uri(settings))
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return {"uri": address, **_store_properties(settings)}


def usable_location(settings: Settings, location: str) -> str:
    """Return the table's location; raise SettingsError where its object store has no keys.

    Without keys the libraries would look for some on their own, each in other places.
    """
    if location.startswith(STORE_SCHEMES) and not has_keys(settings):
        raise SettingsError(
            f"the lake is at {location}, but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not"
            " both set",
            hint="Set both, and S3_ENDPOINT where the object store is not Amazon's.",
            location=location,
        )
    return location


def has_keys(settings: Settings) -> bool:
    """Tell whether the settings name the keys of an object store."""
    return bool(_keys(settings))


def _store_properties(settings: Settings) -> dict[str, str]:
    found = {
        "s3.region": settings.aws_region,
        "s3.connect-timeout": str(CONNECT_SECONDS),
        "s3.request-timeout": str(ANSWER_SECONDS),
    }
    if settings.s3_endpoint:
        found["s3.endpoint"] = settings.s3_endpoint
        found["s3.force-virtual-addressing"] = str(not settings.s3_path_style).lower()
    if settings.outbound_proxy and not _is_near(settings.s3_endpoint):
        found["s3.proxy-uri"] = settings.outbound_proxy.get_secret_value()
    return found | _keys(settings)


def _is_near(address: str | None) -> bool:
    """Return whether an address is on this machine, or a name that only this network knows."""
    if not address:
        return False
    place = web_destination(address)
    return place.is_loopback or "." not in place.host


def _keys(settings: Settings) -> dict[str, str]:
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    if key is None or secret is None:
        return {}
    names = {"s3.access-key-id": key, "s3.secret-access-key": secret}
    if settings.aws_session_token is not None:
        names["s3.session-token"] = settings.aws_session_token
    return {name: value.get_secret_value() for name, value in names.items()}
