"""One batch to the server: inserted, settled, covered by committedSeq, and then acknowledged.

The order is the protocol (docs/specs/shipping.md): a death between any two steps is repaired by
sending the same records under the same positions again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from analytics.errors import ConflictError, DependencyError
from analytics.transcripts import Record
from analytics.transcripts.documents import Encoding, encode_raw, to_document
from sync_agent.identity import Enrolment
from sync_agent.mongo import Answer, Document, Position, Remote
from sync_agent.outbox import Outbox, Refusal


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch: ``records`` in it, of which some were claimed or refused."""

    records: int = 0
    claimed: int = 0
    refused: int = 0
    raw_bytes: int = 0


@dataclass(slots=True)
class Delivery:
    """A way to the server, valid for one enrolment.

    ``stored_apart`` are the GridFS files of records that are not acknowledged yet, so that a batch
    that is sent again does not store them again.
    """

    outbox: Outbox
    remote: Remote
    enrolment: Enrolment
    stored_apart: dict[str, str] = field(default_factory=dict)
    shipped_through: int = 0

    def ship(self, *, rows: int, size: int) -> Delivered:
        """Ship the next batch: at most ``rows`` records, of ``size`` raw bytes or one record.

        Raises DependencyError where it is not certain what arrived: the next call sends the same
        again. Raises ConflictError where this is not the agent any more that it was.
        """
        agent_id = self.enrolment.agent_id
        after = max(self.enrolment.acknowledged, self.shipped_through)
        batch = self.outbox.batch(agent_id, after=after, rows=rows, size=size)
        if not batch:
            return Delivered()
        answer = self.remote.insert([self._document(record) for record in batch])
        claims, refusals = self._settle(batch, answer)
        if claims:
            self.remote.claim(agent_id, claims)
        if refusals:
            self.outbox.bury(agent_id, refusals)
        counts = {
            "shipped": len(batch) - len(refusals),
            "claimed": len(claims),
            "deadLetters": len(refusals),
        }
        self._commit(batch[-1].seq, counts)
        self._clear_up()
        raw_bytes = sum(len(record.raw) for record in batch)
        return Delivered(len(batch), len(claims), len(refusals), raw_bytes)

    def beat(self) -> None:
        """Tell the server that this agent lives; raises as :meth:`ship`."""
        if not self.remote.heartbeat(self.enrolment.agent_id, self.enrolment.incarnation):
            raise self._overtaken()

    def _document(self, record: Record) -> Document:
        encoded = encode_raw(record.raw)
        if encoded.encoding == Encoding.GRIDFS and encoded.apart is not None:
            name = record.entry_id
            if name not in self.stored_apart:
                self.stored_apart[name] = self.remote.store(name, encoded.apart)
            encoded = encoded._replace(value=self.stored_apart[name])
        return to_document(record, encoded, agent_id=self.enrolment.agent_id)

    def _settle(
        self, batch: Sequence[Record], answer: Answer
    ) -> tuple[list[tuple[int, str]], list[Refusal]]:
        """Return what has to be claimed, and what the server refused."""
        claims: list[tuple[int, str]] = []
        refusals = [Refusal(batch[place].seq, why) for place, why in answer.refused.items()]
        twice = [(batch[place], why) for place, why in answer.duplicates]
        stored = self._stored({record.entry_id for record, _ in twice})
        for record, why in twice:
            at = stored.get(record.entry_id)
            if at is None:
                refusals.append(Refusal(record.seq, why))
            elif at.agent_id is None or at.seq is None:
                refusals.append(Refusal(record.seq, "a document of another program has this id"))
            elif at != (self.enrolment.agent_id, record.seq):
                claims.append((record.seq, record.entry_id))
        return claims, refusals

    def _stored(self, entry_ids: Collection[str]) -> dict[str, Position]:
        """Return where documents stand that were there before; one may be kept out by other means.

        Raises DependencyError where one is there, but may still vanish with a failing primary.
        """
        if not entry_ids:
            return {}
        stored = self.remote.positions(entry_ids)
        absent = [entry_id for entry_id in entry_ids if entry_id not in stored]
        if absent and self.remote.positions(absent, majority=False):
            raise _not_settled()
        return stored

    def _commit(self, through: int, counts: dict[str, int]) -> None:
        agent_id, incarnation = self.enrolment.agent_id, self.enrolment.incarnation
        if not self.remote.commit(agent_id, incarnation, through=through, counts=counts):
            raise self._overtaken()
        self.outbox.acknowledge(agent_id, incarnation, through)
        self.shipped_through = through

    def _overtaken(self) -> ConflictError:
        return ConflictError(
            f"another copy of this buffer ships as agent {self.enrolment.agent_id}",
            hint="Nothing is lost: this one goes on under a new agent id.",
            agent_id=self.enrolment.agent_id,
        )

    def _clear_up(self) -> None:
        """Delete what was stored apart for documents that are others' or were refused."""
        for entry_id, file_id in self.stored_apart.items():
            if self.remote.reference(entry_id) != file_id:
                self.remote.discard(file_id)
        self.stored_apart.clear()


def _not_settled() -> DependencyError:
    return DependencyError(
        "MongoDB has documents that its majority does not have yet",
        hint="Nothing to do: they are sent again until it is certain that they stay.",
        kind="MajorityLag",
    )
