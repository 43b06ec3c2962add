"""Documents that a server lost are sent again, each at the position that it had.

The buffer is read and not changed, so a live agent may hold it. What is inserted are records that
this very buffer numbered, so sending them twice is a duplicate and no harm.
"""

from __future__ import annotations

from collections.abc import Iterator

from annals.records import Record
from annals.records.seq_ranges import Ranges
from annals.settings import Settings
from sync_agent.shipping.delivery import Delivery
from sync_agent.shipping.identity import Enrolment
from sync_agent.shipping.mongo import Remote
from sync_agent.shipping.outbox import Outbox, open_outbox

_ROWS = 500
_BYTES = 8 * 1024 * 1024


def restore_documents(settings: Settings, agent_id: str, missing: Ranges) -> int:
    """Send what the buffer still holds of ``missing`` again; return how many records it sent.

    Does nothing if the buffer is another agent, or a copy of one that runs elsewhere. Raises
    DependencyError if the server does not answer.
    """
    if not settings.sqlite_path.exists():
        return 0
    with open_outbox(settings.sqlite_path) as outbox:
        identity = outbox.identity()
        if identity.agent_id != agent_id:
            return 0
        remote = Remote(settings)
        try:
            known = remote.agent(agent_id)
            if known is None or known.incarnation not in identity.noted:
                return 0
            enrolment = Enrolment(agent_id, known.incarnation, identity.acknowledged)
            delivery = Delivery(outbox, remote, enrolment)
            return sum(delivery.restore(batch) for batch in _batches(outbox, agent_id, missing))
        finally:
            remote.close()


def note_lost(settings: Settings, agent_id: str, lost: Ranges) -> None:
    """Note on the server that these positions stay empty: nothing here can fill them."""
    with open_outbox(settings.sqlite_path) as outbox:
        incarnations = outbox.identity().noted
    remote = Remote(settings)
    try:
        known = remote.agent(agent_id)
        if known is not None and known.incarnation in incarnations:
            remote.note_absent(agent_id, known.incarnation, lost, name="lost")
    finally:
        remote.close()


def acknowledged_here(settings: Settings) -> tuple[str, int]:
    """Return the agent id of the buffer, and up to which position a server acknowledged it."""
    with open_outbox(settings.sqlite_path) as outbox:
        identity = outbox.identity()
    return identity.agent_id, identity.acknowledged


def _batches(outbox: Outbox, agent_id: str, missing: Ranges) -> Iterator[list[Record]]:
    for first, last in missing:
        after = first - 1
        while after < last:
            batch = outbox.batch(agent_id, after=after, rows=_ROWS, size=_BYTES)
            records = [record for record in batch.records if record.seq <= last]
            if not records:
                break
            after = records[-1].seq
            yield records
