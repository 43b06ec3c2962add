"""Iceberg's client of catalog servers: patient to an end, with Basic credentials, slow to believe.

The library itself waits for an answer as long as the connection lives, which on a network that only
swallows packets is indefinitely; it drops a user's name and password from an address; and it
deletes the files of each commit that is answered with a conflict.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote, urlsplit

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, RESTError
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import AddSnapshotUpdate, TableRequirement, TableUpdate
from pyiceberg.typedef import RecursiveDict
from pyiceberg.utils.config import Config, merge_config
from requests import HTTPError, PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from annals.errors import ConflictError, SettingsError
from annals.lake.places import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    catalog_address,
    rest_properties,
    server_uri,
)
from annals.limits import METADATA_BYTES, STEP_BYTES
from annals.settings import Settings
from annals.settings.addresses import web_destination
from annals.settings.destinations import LAKE, require_allowed, require_allowed_addresses


class PatientCatalog(RestCatalog):
    """The client of a catalog server that gives up where no answer comes."""

    def __init__(self, name: str, *, login: HTTPBasicAuth | None, **properties: str) -> None:
        self._login = login
        super().__init__(name, **properties)

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Patient())
        if web_destination(self.properties["uri"]).is_loopback:
            session.trust_env = False  # a proxy of other work is not part of this machine
        if self._login is not None:
            session.auth = self._login
        return session

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Commit, and believe in a conflict only where the table shows it.

        A gateway that repeats a request gets a conflict for a commit that happened. Raises
        CommitFailedException, upon which the library deletes the commit's files, only where the
        branch has moved without it, so that it can never happen any more; ConflictError where that
        is open, or others went on from it; CommitStateUnknownException if nobody answers.
        """
        try:
            answer: CommitTableResponse = super().commit_table(table, requirements, updates)
        except CommitFailedException as conflict:
            ours = [one.snapshot for one in updates if isinstance(one, AddSnapshotUpdate)]
            if not ours:
                raise
            found = self._asked_again(table, conflict)
            current = found.metadata.current_snapshot_id
            if current == ours[-1].snapshot_id:
                return _as_answer(found)
            is_open = current == table.metadata.current_snapshot_id
            if is_open or found.snapshot_by_id(ours[-1].snapshot_id):
                raise ConflictError(
                    f"another process commits to the lake {'.'.join(table.name())} just now",
                    hint="Run the command again; it begins with what is there now.",
                ) from conflict
            raise
        return answer

    def _asked_again(self, table: Table, conflict: CommitFailedException) -> Table:
        try:
            found: Table = super().load_table(table.name())
        except (OSError, RESTError, ValueError) as error:
            raise CommitStateUnknownException(
                f"it reported a conflict ({conflict}), and then not what became of it ({error})"
            ) from error
        return found


def _as_answer(table: Table) -> CommitTableResponse:
    return CommitTableResponse.model_validate(
        {"metadata": table.metadata, "metadata-location": table.metadata_location}
    )


class _Patient(HTTPAdapter):
    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        response = super().send(request, *args, **kwargs)
        if not kwargs.get("stream"):
            response._content = _body(response)  # noqa: SLF001 -- what it is read into anyway
        return response


def _body(response: Response) -> bytes:
    """Return the body, unpacked, up to a limit: a catalog's answer is a table's metadata."""
    pieces, size, until = [], 0, time.monotonic() + ANSWER_SECONDS
    for piece in response.iter_content(STEP_BYTES):
        size += len(piece)
        if size > METADATA_BYTES or time.monotonic() > until:
            response.close()
            raise ConnectionError("the catalog's answer is too long, or takes too long")
        pieces.append(piece)
    return b"".join(pieces)


_NO_SUCH_PLACE = (400, 404, 405)
"""What servers other than catalogs, such as object stores, answer to a catalog's first request."""


def _is_web_address(value: object) -> bool:
    return isinstance(value, str) and value.lower().startswith(("http://", "https://"))


def _status(error: RESTError) -> int | None:
    cause = error.__cause__
    found = cause.response if isinstance(cause, HTTPError) else None
    return None if found is None else found.status_code


def rest_catalog(settings: Settings, **more: str) -> RestCatalog:
    """Return the client of the catalog server that the settings name; it asks for its properties.

    What a server needs beyond them (``warehouse``, ``token``, ``credential``) is taken from where
    Iceberg's library looks: ``PYICEBERG_CATALOG__<NAME>__<PROPERTY>``. Raises SettingsError for a
    missing address, for one that was never allowed, and the library's own errors.
    """
    require_allowed(settings, *LAKE)
    name = settings.iceberg_catalog_name
    given: RecursiveDict = {**rest_properties(settings), **more}
    properties: Any = merge_config(Config().get_catalog_config(name) or {}, given)
    require_allowed_addresses(
        settings, *(value for value in properties.values() if _is_web_address(value))
    )
    parts = urlsplit(server_uri(settings))
    login = None
    if parts.username is not None:
        login = HTTPBasicAuth(unquote(parts.username), unquote(parts.password or ""))
    try:
        return PatientCatalog(name, login=login, **properties)
    except (ValueError, RESTError) as error:
        if isinstance(error, RESTError) and _status(error) not in _NO_SUCH_PLACE:
            raise
        raise SettingsError(
            f"what answers at ICEBERG_CATALOG_URI ({catalog_address(settings)}) is not an Iceberg"
            " catalog",
            hint="Correct ICEBERG_CATALOG_URI: the address below which /v1/config is.",
        ) from error
