"""What the MongoDB driver and server report, as errors of the tree.

The one mapping: the shipper and the extractor both use :func:`mongo_faults`. The codes are those
of the server's ``error_codes.yml``. No message shows a password, a user or an option of MONGO_URI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote_plus

from bson.errors import BSONError, InvalidDocument
from gridfs import NoFile
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidName,
    InvalidURI,
    OperationFailure,
    ProtocolError,
    PyMongoError,
)

from annals.errors import AnalyticsError, DependencyError, SettingsError
from annals.secrecy import HIDDEN
from annals.settings import Settings
from annals.settings.harmless import shown_setting

__all__ = [
    "BSONError",
    "BulkWriteError",
    "ConnectionFailure",
    "DUPLICATE",
    "DocumentTooLarge",
    "DuplicateKeyError",
    "InvalidDocument",
    "InvalidName",
    "NOT_NOW",
    "NoFile",
    "ProtocolError",
    "PyMongoError",
    "RefusedCommandError",
    "URI_FAULTS",
    "mask_address",
    "mongo_fault",
    "mongo_faults",
    "mongo_uri",
    "refused_login",
    "server_reason",
    "shown_server",
    "unreachable",
    "uri_fault",
    "wrong_database",
    "wrong_uri",
]

DUPLICATE = 11000
_REFUSED_LOGIN = (13, 18, 8000)
NOT_NOW = frozenset(
    {6, 7, 11, 43, 50, 63, 64, 89, 91, 112, 133, 150, 189, 234, 246, 262, 9001}
    | {10107, 11600, 11602, 13388, 13435, 13436, 14031}
)
"""Codes that describe the server's present state, and nothing about the document."""

URI_FAULTS = (ConfigurationError, InvalidURI)
"""The errors by which the driver refuses a URI."""

_SEPARATORS = re.compile(r"[:@/?&=,;]+")
_SECRET_OPTION = re.compile("password|properties", re.IGNORECASE)
_SHORTEST_SECRET = 3


class RefusedCommandError(DependencyError):
    """The server answered, and refused the command itself; ``reason`` is the server's text."""

    def __init__(self, error: DependencyError, *, reason: str) -> None:
        super().__init__(error.message, hint=error.hint, **error.context)
        self.reason = reason


@contextmanager
def mongo_faults(settings: Settings) -> Iterator[None]:
    """Turn what is wrong with server, network, URI or user into errors of the tree.

    What a server reports about single documents passes unchanged.
    """
    try:
        yield
    except (BulkWriteError, DuplicateKeyError, InvalidDocument, NoFile):
        raise
    except PyMongoError as error:
        raise mongo_fault(error, settings) from error


def mongo_fault(error: PyMongoError, settings: Settings) -> AnalyticsError:
    """Return the error of the tree for one of the driver's."""
    if isinstance(error, ConfigurationError):
        return uri_fault(error, settings)
    reason = server_reason(error, settings)
    unanswered = unreachable(reason, settings, kind=type(error).__name__)
    if not isinstance(error, OperationFailure):
        return unanswered
    if error.code in _REFUSED_LOGIN:
        return refused_login(reason, settings)
    if error.code in NOT_NOW or error.timeout:
        return unanswered
    return RefusedCommandError(unanswered, reason=reason)


def server_reason(error: Exception, settings: Settings) -> str:
    """Return the server's own text for an error, or the driver's, without secrets."""
    if isinstance(error, RefusedCommandError):
        return error.reason
    details = getattr(error, "details", None)
    message = details.get("errmsg") if isinstance(details, Mapping) else None
    return mask_address(str(message or error), uri=mongo_uri(settings))


def mongo_uri(settings: Settings) -> str:
    """Return MONGO_URI; raise SettingsError where it is not set."""
    if settings.mongo_uri is None:
        raise SettingsError(
            "MONGO_URI is not set",
            hint="Set MONGO_URI, or leave it unset and use the buffer as the source.",
        )
    return settings.mongo_uri.get_secret_value()


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
