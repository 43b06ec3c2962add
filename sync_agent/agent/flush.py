"""``sync flush``: all that is in the buffer is shipped now, by the agent or by this process."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from typing import Any

from annals.access import claim_buffer
from annals.buffer.faults import translated
from annals.errors import LockedError, PartialError
from annals.locks import exclusive
from annals.settings import Settings
from sync_agent.agent.requests import Kind, ask, require_live
from sync_agent.buffer.store import open_buffer

SHIPPER = "sync_agent.shipping.shipper"
"""Loaded by name when something is to be shipped: it brings MongoDB's driver with it."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did: ``by`` is "agent", "command" or, without a MONGO_URI, "nobody"."""

    by: str
    shipped: int | None = None
    pending: int = 0


def flush(settings: Settings, *, timeout: float) -> Flushed:
    """Ship what the buffer holds, for at most ``timeout`` seconds.

    Raises PartialError (exit 6) where something is left, LockedError (exit 7) where a command
    that is not an agent holds the buffer.
    """
    if settings.mongo_uri is None:
        return Flushed("nobody")
    try:
        return _alone(settings, timeout)
    except LockedError as error:
        require_live(error)
    ask(settings, Kind.FLUSH, {}, timeout=timeout)
    return Flushed("agent")


def _alone(settings: Settings, timeout: float) -> Flushed:
    claim_buffer(settings)
    path = settings.sqlite_path
    with (
        translated(path),
        exclusive(settings.buffer_lock, role="sync flush", what=f"the buffer {path}"),
    ):
        with open_buffer(path):
            pass  # made or added to where that is needed; the shipper has connections of its own
        shipper: Any = importlib.import_module(SHIPPER).Shipper(settings)
        is_empty = shipper.drain(time.monotonic() + timeout)
        status = shipper.status()
    if not is_empty:
        raise PartialError(
            f"{status.pending} records are not shipped yet: {status.last_error or 'no time left'}",
            hint="They stay in the buffer; run again, or give more --timeout.",
            pending=status.pending,
        )
    return Flushed("command", status.shipped, status.pending)
