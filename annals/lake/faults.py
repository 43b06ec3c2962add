"""What catalog servers and object stores report, in terms of the error tree.

The libraries pass on what the store said only as text; the words looked for are the codes of S3's
own interface (NoSuchBucket, AccessDenied, ...) as Arrow and DuckDB spell them, outside of names and
values.
"""

from __future__ import annotations

import re

from annals.errors import AnalyticsError, DependencyError, IntegrityError, SettingsError
from annals.text import library_words

_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|specified bucket does not exist")
_REFUSED = re.compile(
    r"AWS Error (?:SIGNATURE_DOES_NOT_MATCH|INVALID_|ACCESS_DENIED|EXPIRED_TOKEN|MISSING_AUTH)"
    r"|SignatureDoesNotMatch|InvalidAccessKeyId|ExpiredToken|\(HTTP 40[013] "
)
_AWAY = re.compile(
    r"AWS Error (?:NETWORK|REQUEST_TIMEOUT|SERVICE_UNAVAILABLE|SLOW_DOWN|INTERNAL|UNKNOWN)"
    r"|IO Error: [^\n]* for HTTP |\(HTTP (?:429|5\d\d) |HTTP code 0"
)
_MISSING = re.compile(r"AWS Error (?:NO_SUCH_KEY|RESOURCE_NOT_FOUND)|\(HTTP 404 ")
_ADDRESS = re.compile(r"s3[an]?://[^'\"\s]+|https?://[^'\"\s]+")
_LONGEST = 300
_NOT_SET = "required extension 'httpfs'"  # DuckDB, at a file there, where nobody loaded it


def object_store_fault(text: str, place: object) -> AnalyticsError | None:
    """Return the error for what a library said of an object store; None where it is no such thing.

    ``place`` is the lake, or the file that was read or written.
    """
    said, whole = _line(text), text
    if _NOT_SET in text:
        return SettingsError(
            f"{place} refers to files in an object store, which the settings do not name",
            hint="Set ICEBERG_CATALOG_TYPE=rest with ICEBERG_CATALOG_URI, and AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, as they were; or delete the warehouse to build it anew.",
            path=place,
        )
    text = library_words(text, place)
    if _NO_BUCKET.search(text):
        return SettingsError(
            f"the bucket of the lake {place} does not exist: {said}",
            hint="Make it in the object store, or correct S3_ENDPOINT or the catalog's warehouse.",
            path=place,
        )
    if _REFUSED.search(text):
        return SettingsError(
            f"the object store of the lake {place} refuses these keys: {said}",
            hint="Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with a session of limited"
            " time also AWS_SESSION_TOKEN), or give them the right to read and write that bucket.",
            path=place,
        )
    if _AWAY.search(text):
        return DependencyError(
            f"the object store of the lake {place} does not answer as it should: {said}",
            hint="Check S3_ENDPOINT, the object store and the network, then run the command again.",
            path=place,
        )
    return _missing_object(text, whole, place)


def _missing_object(text: str, whole: str, place: object) -> IntegrityError | None:
    if not _MISSING.search(text):
        return None
    file = found[0] if (found := _ADDRESS.search(whole)) else place
    return IntegrityError(
        f"the lake's file {file} is missing",
        hint="Restore the lake from a backup; nothing was changed.",
        path=file,
    )


def catalog_server_fault(error: Exception, place: object) -> AnalyticsError:
    """Return the error for a catalog server that cannot be reached, that refuses or that fails."""
    text = str(error)
    if type(error).__name__ in ("UnauthorizedError", "ForbiddenError", "OAuthError"):
        return SettingsError(
            f"the catalog server of the lake {place} lets nobody in: {_line(text)}",
            hint="Correct name and password in ICEBERG_CATALOG_URI, or what the server allows.",
            path=place,
        )
    if _NO_BUCKET.search(text) and (known := object_store_fault(text, place)):
        return known
    return DependencyError(
        f"the catalog server of the lake {place} does not answer as it should: {_line(text)}",
        hint="Check ICEBERG_CATALOG_URI, the server and the network, then run the command again.",
        path=place,
    )


def _line(text: str) -> str:
    """Return the line that says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    marks = ("AWS Error", "HTTP Error", " for HTTP ")
    found = next((line for line in lines if any(mark in line for mark in marks)), lines[0])
    return found[:_LONGEST]
