"""The connection to the server that MONGO_URI names, and the options where the URI is silent.

Reads go to the primary with majority concern, writes wait for the majority and its journal
(docs/specs/shipping.md). Only this package imports the driver; shipper and extractor take its
classes from here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
import gridfs
import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from annals.mongo.faults import (
    URI_FAULTS,
    InvalidName,
    mongo_uri,
    uri_fault,
    wrong_database,
    wrong_uri,
)
from annals.records.document import BUCKET
from annals.settings import Settings
from annals.settings.addresses import mongo_destinations
from annals.settings.destinations import require_allowed

__all__ = [
    "Client",
    "Collection",
    "Database",
    "Document",
    "RawBSONDocument",
    "decode_bytes",
    "default_options",
    "encoded_size",
    "open_bucket",
    "open_client",
    "open_database",
    "raw_collection",
    "time_limit",
    "with_local_reads",
]

Document = dict[str, Any]
Client = pymongo.MongoClient[Document]

_SILENT: dict[str, tuple[str, Any]] = {
    "appname": ("appName", "annals"),
    "serverselectiontimeoutms": ("serverSelectionTimeoutMS", 5_000),
    "connecttimeoutms": ("connectTimeoutMS", 5_000),
    "sockettimeoutms": ("socketTimeoutMS", 60_000),
}
"""Options by their name in small letters: by default MongoDB waits for an answer without limit."""

_OPTIONS: CodecOptions[Document] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_AS_BYTES: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def default_options(uri: str) -> dict[str, Any]:
    """Return the options that the URI does not name itself; the URI's own always win."""
    _, _, query = uri.partition("?")
    named = {pair.partition("=")[0].lower() for pair in re.split("[&;]", query)}
    return {name: value for key, (name, value) in _SILENT.items() if key not in named}


def open_client(settings: Settings) -> Client:
    """Return the driver's client for MONGO_URI, not connected yet.

    Raises SettingsError for a URI that is wrong in any way, an unknown option included, or that
    leads to a place that was never allowed, and DependencyError if its name cannot be looked up.
    """
    uri = mongo_uri(settings)
    names_hosts = _names_hosts(uri)
    if names_hosts:
        require_allowed(settings, "mongo_uri")
    wrong: tuple[type[Exception], ...] = (*URI_FAULTS, UserWarning, ValueError, TypeError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            client: Client = pymongo.MongoClient(uri, connect=False, **default_options(uri))
    except wrong as error:
        # The driver's own error may quote the URI, and with it the password.
        raise uri_fault(error, settings) from None
    if not names_hosts:
        raise wrong_uri("its hosts cannot be told", settings)
    return client


def open_database(client: Client, settings: Settings) -> Database[Document]:
    """Return the database MONGO_DB with majority concerns; raise SettingsError for its name."""
    try:
        return client.get_database(
            settings.mongo_db,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
            codec_options=_OPTIONS.with_options(unicode_decode_error_handler="replace"),
        )
    except InvalidName as error:
        raise wrong_database(str(error), settings) from error


def open_bucket(database: Database[Document]) -> gridfs.GridFSBucket:
    """Return the GridFS bucket that keeps records too large for a document."""
    return gridfs.GridFSBucket(database, bucket_name=BUCKET)


def raw_collection(database: Database[Any], name: str) -> Collection[RawBSONDocument]:
    """Return a collection whose documents arrive as bytes: a damaged one is one document."""
    return database.get_collection(name, _AS_BYTES)


def with_local_reads(collection: Collection[Document]) -> Collection[Document]:
    """Return the collection with local read concern: all that the primary has."""
    return collection.with_options(read_concern=ReadConcern("local"))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let no call of the body take longer than ``seconds``."""
    with pymongo.timeout(max(seconds, 0.001)):
        yield


def decode_bytes(raw: bytes) -> Document:
    """Return the document that BSON bytes hold; raises BSONError or ValueError for damage."""
    return bson.decode(raw, _OPTIONS)


def encoded_size(document: Document) -> int:
    """Return how many bytes of BSON a document takes."""
    return len(bson.encode(document))


def _names_hosts(uri: str) -> bool:
    """Return whether its hosts can be judged; if not, the driver names the fault."""
    try:
        mongo_destinations(uri, "")
    except ValueError:
        return False
    return True
