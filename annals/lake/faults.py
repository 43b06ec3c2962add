"""What catalog servers and object stores report, in terms of the error tree.

What decides is a status of HTTP and a code of S3's or the catalog's own interface, or the class of
an exception. What a library says in words is shown, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annals.errors import AnalyticsError, DependencyError, IntegrityError, SettingsError
from annals.lake.store import Answer, ask_store, is_in_store

_NO_BUCKET = {"NoSuchBucket", "NoSuchBucketException"}
_REFUSED = {
    *("AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"),
    *("InvalidToken", "TokenRefreshRequired", "InvalidSecurity", "MissingSecurityHeader"),
    *(
        "AuthorizationHeaderMalformed",
        "RequestTimeTooSkewed",
        "AccountProblem",
        "AllAccessDisabled",
    ),
}
_REFUSED_STATUS = {400, 401, 403}
_ELSEWHERE_STATUS = {301, 302, 307, 308}
_MISSING_STATUS = 404
_LONGEST = 300
_LETS_NOBODY_IN = ("UnauthorizedError", "ForbiddenError", "OAuthError")


def object_store_fault(answer: Answer, place: object, said: str) -> AnalyticsError:
    """Return the error for what an object store answered.

    ``place`` is the lake, or the file that was read or written; ``said`` is how a library words it.
    """
    said = _line(said)
    if answer.code in _NO_BUCKET:
        return _no_bucket(place, said)
    if answer.status in _ELSEWHERE_STATUS:
        return SettingsError(
            f"the object store of the lake {place} sends requests elsewhere: {said}",
            hint="Correct AWS_REGION, which is the region of the bucket, or S3_ENDPOINT.",
            path=place,
        )
    if answer.code in _REFUSED or answer.status in _REFUSED_STATUS:
        return SettingsError(
            f"the object store of the lake {place} refuses these keys: {said}",
            hint="Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with a session of limited"
            " time also AWS_SESSION_TOKEN), or give them the right to read and write that bucket.",
            path=place,
        )
    if answer.status == _MISSING_STATUS:
        return IntegrityError(
            f"the lake's file {place} is missing",
            hint="Restore the lake from a backup; nothing was changed.",
            path=place,
        )
    return DependencyError(
        f"the object store of the lake {place} does not answer as it should: {said}",
        hint="Check S3_ENDPOINT, the object store and the network, then run the command again.",
        path=place,
    )


def unset_object_store(place: object) -> SettingsError:
    """Return the error for files in an object store that the settings do not name."""
    return SettingsError(
        f"{place} refers to files in an object store, which the settings do not name",
        hint="Set ICEBERG_CATALOG_TYPE=rest with ICEBERG_CATALOG_URI, and AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, as they were; or delete the warehouse to build it again.",
        path=place,
    )


def table_store_fault(table: Any, error: OSError, place: object) -> AnalyticsError | None:
    """Return the error for what the store of an Iceberg table has; None if it has nothing.

    None also if the table is on local disks, or if a file is missing in a store that is well.
    """
    location = str(table.location()) if table is not None else ""
    if not is_in_store(location):
        return None
    answer = ask_store(table.io.properties, location)
    if isinstance(error, FileNotFoundError) and answer == Answer(200):
        return None
    if answer.status == _MISSING_STATUS:  # of the bucket: nothing else was asked for
        return _no_bucket(place, _line(str(error)))
    return object_store_fault(answer, place, str(error))


def catalog_server_fault(error: Exception, place: object) -> AnalyticsError:
    """Return the error for a catalog server that cannot be reached, that refuses or that fails."""
    said = _line(str(error))
    if type(error).__name__ in _LETS_NOBODY_IN:
        return SettingsError(
            f"the catalog server of the lake {place} lets nobody in: {said}",
            hint="Correct name and password in ICEBERG_CATALOG_URI, or what the server allows.",
            path=place,
        )
    if _server_code(error) in _NO_BUCKET:
        return _no_bucket(place, said)
    return DependencyError(
        f"the catalog server of the lake {place} does not answer as it should: {said}",
        hint="Check ICEBERG_CATALOG_URI, the server and the network, then run the command again.",
        path=place,
    )


def _server_code(error: Exception) -> str:
    """Return the ``type`` of a catalog server's answer, by its interface's own error model."""
    response = getattr(error.__cause__, "response", None)
    if response is None:
        return ""
    try:
        body = response.json()
    except ValueError:
        return ""
    inner = body.get("error") if isinstance(body, Mapping) else None
    return str(inner.get("type", "")) if isinstance(inner, Mapping) else ""


def _no_bucket(place: object, said: str) -> SettingsError:
    return SettingsError(
        f"the bucket of the lake {place} does not exist: {said}",
        hint="Make it in the object store, or correct S3_ENDPOINT or the catalog's warehouse.",
        path=place,
    )


def _line(text: str) -> str:
    """Return the first line of a message that holds anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    return lines[0][:_LONGEST]
