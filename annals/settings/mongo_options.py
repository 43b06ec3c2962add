"""What MONGO_URI asks for: the options that hold where it is silent, and how it is shown."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import unquote_plus

from annals.errors import DependencyError, SettingsError
from annals.secrecy import HIDDEN
from annals.settings.addresses import mongo_destinations
from annals.settings.destinations import require_allowed
from annals.settings.harmless import shown_setting
from annals.settings.model import Settings

Client = TypeVar("Client")

_SILENT: dict[str, tuple[str, str | int]] = {
    "appname": ("appName", "annals"),
    "serverselectiontimeoutms": ("serverSelectionTimeoutMS", 5_000),
    "connecttimeoutms": ("connectTimeoutMS", 5_000),
    "sockettimeoutms": ("socketTimeoutMS", 60_000),
}
"""Options by their name in small letters: MongoDB waits for an answer without end by itself."""

_SEPARATORS = re.compile(r"[:@/?&=,;]+")
_SECRET_OPTION = re.compile("password|properties", re.IGNORECASE)
_SHORTEST_SECRET = 3


def mongo_uri(settings: Settings) -> str:
    """Return MONGO_URI; raise SettingsError where it is not set."""
    if settings.mongo_uri is None:
        raise SettingsError(
            "MONGO_URI is not set",
            hint="Set MONGO_URI, or leave it unset and use the buffer as the source.",
        )
    return settings.mongo_uri.get_secret_value()


def default_options(uri: str) -> dict[str, str | int]:
    """Return the options that the URI does not name itself; what it says always wins."""
    _, _, query = uri.partition("?")
    named = {pair.partition("=")[0].lower() for pair in re.split("[&;]", query)}
    return {name: value for key, (name, value) in _SILENT.items() if key not in named}


def open_client(
    settings: Settings, client: Callable[..., Client], *, faults: tuple[type[Exception], ...]
) -> Client:
    """Return the driver's client for MONGO_URI, not connected yet.

    ``client`` is the driver's class and ``faults`` are the errors by which it refuses a URI: the
    driver itself is imported where it is used. Raises SettingsError for a URI that is wrong in any
    way, an unknown option included, or that leads to a place that was never allowed, and
    DependencyError where its name cannot be looked up.
    """
    uri = mongo_uri(settings)
    is_told = _names_hosts(uri)
    if is_told:
        require_allowed(settings, "mongo_uri")
    wrong: tuple[type[Exception], ...] = (*faults, UserWarning, ValueError, TypeError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            found = client(uri, connect=False, **default_options(uri))
    except wrong as error:
        # The driver's own error may quote the URI, and with it the password.
        raise uri_fault(error, settings) from None
    if not is_told:
        raise wrong_uri("its hosts cannot be told", settings)
    return found


def _names_hosts(uri: str) -> bool:
    """Return whether its hosts can be judged; if not, the driver says what is wrong with it."""
    try:
        mongo_destinations(uri, "")
    except ValueError:
        return False
    return True


def shown_server(settings: Settings) -> str:
    """Return MONGO_URI as text for people: without user, password and options."""
    return shown_setting("mongo_uri", settings.mongo_uri)


def mask_address(text: str, *, uri: str) -> str:
    """Return ``text`` without anything from the URI's user, password or options."""
    rest = uri.partition("://")[2]
    userinfo, at, _ = rest.rpartition("@")
    secrets = [*_SEPARATORS.split(userinfo if at else ""), *_values(uri)]
    for secret in sorted({*secrets, *map(unquote_plus, secrets)}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text


def _values(uri: str) -> list[str]:
    """Return the values of options that hold secrets."""
    query = uri.partition("?")[2]
    pairs = [pair.partition("=") for pair in re.split("[&;]", query)]
    return [value for name, _, value in pairs if _SECRET_OPTION.search(name)]


def uri_fault(error: Exception, settings: Settings) -> SettingsError | DependencyError:
    """Return the error for what the driver says of a URI: it is wrong, or its name is not found."""
    if type(error.__cause__ or error.__context__).__module__.startswith("dns."):
        return unreachable(str(error), settings, kind="NameLookup")
    return wrong_uri(str(error), settings)


def wrong_uri(why: str, settings: Settings) -> SettingsError:
    """Return the error for a URI that cannot be used, whatever the server does."""
    return SettingsError(
        f"MONGO_URI ({shown_server(settings)}) cannot be used:"
        f" {mask_address(why, uri=mongo_uri(settings))}",
        hint="Write it as mongodb://HOST:PORT or mongodb+srv://HOST, USER:PASSWORD@ before the"
        " host, /?NAME=VALUE behind it; percent-encode special characters in user and password.",
    )


def wrong_database(why: str, settings: Settings) -> SettingsError:
    """Return the error for a name that no database can have."""
    return SettingsError(
        f"MONGO_DB {settings.mongo_db!r} is not a name of a database: {why}",
        hint="Use letters, digits, - and _ only; the default is claude_logs.",
    )


def refused_login(why: str, settings: Settings) -> SettingsError:
    """Return the error for a server that does not let this user do what it has to."""
    return SettingsError(
        f"MongoDB ({shown_server(settings)}) refuses this user:"
        f" {mask_address(why, uri=mongo_uri(settings))}",
        hint=f"Check user and password in MONGO_URI, and that the user may read and write the"
        f" database {settings.mongo_db}.",
    )


def unreachable(why: str, settings: Settings, *, kind: str) -> DependencyError:
    """Return the error for a server that does not answer as it should; ``kind`` names the cause."""
    brief, _, _ = why.partition(", Timeout:")  # a description of every server follows
    return DependencyError(
        f"MongoDB ({shown_server(settings)}) does not answer as it should:"
        f" {mask_address(brief, uri=mongo_uri(settings))}",
        hint="Check that the server runs and can be reached from here; nothing is lost meanwhile.",
        kind=kind,
    )
