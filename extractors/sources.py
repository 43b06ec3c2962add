"""Which source the settings mean: the server at MONGO_URI, or else the local buffer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from annals.settings import Settings
from extractors.cursor import Cursor
from extractors.local import LocalSource, claim_identity
from extractors.source import Agreement, Source

if TYPE_CHECKING:
    from extractors.mongo import MongoSource


class AgreedSource(NamedTuple):
    """A source, what it agreed on with a lake, and what leaves it again."""

    source: Source
    agreement: Agreement
    close: Callable[[], None]


def require_source(settings: Settings) -> None:
    """Raise where there is nothing to read from, before a lake is made for it."""
    if settings.mongo_uri is None:
        LocalSource(settings.sqlite_path).committed()
        return
    with contextlib.closing(_server(settings)) as server:
        server.committed()


def last_heartbeat(settings: Settings) -> datetime | None:
    """Return when an agent was last heard of on the server; None where no server exists."""
    if settings.mongo_uri is None:
        return None
    with contextlib.closing(_server(settings)) as server:
        return server.last_heartbeat()


def agreed_source(
    settings: Settings,
    cursor: Cursor,
    *,
    consumer: str,
    live_tokens: Collection[str],
    full_backfill: bool = False,
) -> AgreedSource:
    """Return the source, agreed on its positions with a lake whose cursor this is.

    ``consumer`` is the lake's table UUID, ``live_tokens`` are what its snapshots carry.
    """
    if settings.mongo_uri is None:
        claim = claim_identity(
            settings.sqlite_path,
            cursor,
            consumer=consumer,
            live_tokens=live_tokens,
            always=full_backfill,
            allow_gap=full_backfill,
        )
        return AgreedSource(LocalSource(settings.sqlite_path, claim), claim, _nothing)
    server = _server(settings)
    try:
        return AgreedSource(server, server.agree_on_positions(cursor), server.close)
    except BaseException:
        server.close()
        raise


def _server(settings: Settings) -> MongoSource:
    from extractors.mongo import MongoSource  # noqa: PLC0415 -- the driver, only where it is needed

    return MongoSource(settings)


def _nothing() -> None:
    """Leave nothing: the buffer is opened for each read."""
