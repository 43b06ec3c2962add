"""Whether a server holds records of this buffer, from before there was a list of places."""

from __future__ import annotations

import contextlib
from typing import Any

from annals.errors import AnalyticsError
from annals.settings import Settings
from annals.settings.allowed import allowed_file
from sync_agent.buffer.buffer_reader import reading
from sync_agent.buffer.pruning import SHIPPER

_SECONDS = 5.0


def recognizes_buffer(settings: Settings) -> bool:
    """Return whether the server at MONGO_URI has an incarnation that this buffer noted.

    It is asked only where the buffer has shipped and no list of allowed places exists: then an
    earlier version did it, which kept no list. Nothing but the id of the agent is sent. No other
    server can know an incarnation: it is random, and was only ever sent to the one that has it.
    """
    if allowed_file(settings).exists():
        return False
    with contextlib.suppress(AnalyticsError):
        agent_id, noted = _noted(settings)
        return bool(noted) and _known_incarnation(settings, agent_id) in noted
    return False


def _noted(settings: Settings) -> tuple[str, frozenset[str]]:
    """Return the agent's id and its incarnations; none where the buffer never shipped."""
    with reading(settings.sqlite_path) as connection:
        if connection is None:
            return "", frozenset()
        shipped = connection.execute(
            "select 1 from consumers where name = ? and acknowledged > 0", (SHIPPER,)
        ).fetchone()
        if shipped is None:
            return "", frozenset()
        meta = dict(connection.execute("select key, value from meta"))
        rows = connection.execute("select incarnation from incarnations").fetchall()
    return str(meta["agent_id"]), frozenset(incarnation for (incarnation,) in rows)


def _known_incarnation(settings: Settings, agent_id: str) -> str | None:
    from sync_agent.shipping.mongo import Remote  # noqa: PLC0415 -- the driver, only where it is needed

    remote: Any = Remote(settings.with_flags({*settings.flags, "mongo_uri"}))
    with contextlib.closing(remote), remote.within(_SECONDS):
        agent = remote.agent(agent_id)
    return agent.incarnation if agent else None
