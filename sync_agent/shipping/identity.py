"""Agreeing with a server on who this buffer is, at every start (docs/specs/shipping.md).

The buffer notes a fresh incarnation, the server compares and sets it. A buffer that finds a
foreign one there is a copy of one that is active elsewhere, and takes a new agent id.
"""

from __future__ import annotations

from dataclasses import dataclass

from annals.errors import ConflictError
from annals.records.seq_ranges import Ranges
from sync_agent.shipping.mongo import Agent, Remote
from sync_agent.shipping.outbox import Identity, Outbox

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What was agreed on: ship under ``agent_id`` as ``incarnation``, after ``acknowledged``.

    ``absent`` are the covered positions that have no document.
    """

    agent_id: str
    incarnation: str
    acknowledged: int
    absent: Ranges = ()


def enroll_agent(outbox: Outbox, remote: Remote) -> Enrolment:
    """Agree with the server on who this buffer is.

    Raises DependencyError where the server does not answer: whether it knows the incarnation is
    then unknown, which the next call finds out. Raises ConflictError where others do the same
    again and again.
    """
    for _ in range(_ATTEMPTS):
        identity = outbox.identity()
        known = remote.agent(identity.agent_id)
        if known is not None and known.incarnation not in identity.noted:
            outbox.rename(identity.agent_id, committed=max(known.committed, 0))
            continue
        if known is not None and min(known.committed, known.missing_through) < 0:
            through = max(known.committed, identity.acknowledged)  # which was covered
            remote.set_committed(identity.agent_id, known.incarnation, through=through)
            continue
        incarnation = _note(outbox, remote, identity, known)
        if incarnation is None:
            continue
        enrolment = _settle(outbox, remote, identity.agent_id, incarnation)
        if enrolment is not None:
            return enrolment
    raise ConflictError(
        "other copies of this buffer enrol all the time",
        hint="Let one agent run for one buffer; give the others a SQLITE_PATH of their own.",
    )


def _note(outbox: Outbox, remote: Remote, identity: Identity, known: Agent | None) -> str | None:
    """Note a fresh incarnation here, then there; return None where somebody else was first."""
    agent_id = identity.agent_id
    fresh = outbox.note_incarnation(agent_id, remote=known.incarnation if known else None)
    if known is not None:
        is_set = remote.replace_incarnation(agent_id, old=known.incarnation, new=fresh)
    else:
        # A server that once knew this agent and does not now is another one: it has nothing of it.
        committed = 0 if identity.enrolled else identity.acknowledged
        is_set = remote.introduce_agent(agent_id, fresh, committed=committed)
    return fresh if is_set else None


def _settle(outbox: Outbox, remote: Remote, agent_id: str, incarnation: str) -> Enrolment | None:
    """Compare positions, now that nobody else can raise the server's; None where one could."""
    known = remote.agent(agent_id)
    if known is None or known.incarnation != incarnation:
        return None
    identity = outbox.enroll_agent(agent_id, committed=known.committed)
    if identity.pruned_through > max(known.committed, known.missing_through) and not (
        remote.note_missing(agent_id, incarnation, through=identity.pruned_through)
    ):
        return None
    absent = known.absent
    if absent is None:
        absent = outbox.absent(known.committed)
        if not remote.note_absent(agent_id, incarnation, absent):
            return None
    return Enrolment(agent_id, incarnation, identity.acknowledged, absent)
