"""Batches to the server: inserted, settled, covered by committedSeq, and then acknowledged.

The order is the protocol (docs/specs/shipping.md): a death between any two steps is repaired by
sending the same records under the same positions again. So several batches that were inserted one
after the other may be covered together.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from annals.errors import ConflictError, DependencyError
from annals.mongo.connection import Document
from annals.records import Record
from annals.records.document import Encoding, encode_raw, to_document
from annals.records.seq_ranges import Ranges, join_ranges, ranges_of, subtract_ranges
from annals.records.verification import Verification
from sync_agent.shipping.identity import Enrolment
from sync_agent.shipping.mongo import Answer, Position, Remote
from sync_agent.shipping.outbox import Batch, Outbox, Refusal


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch: ``records`` in it, of which some were claimed or refused.

    ``is_full`` says that it was cut: there is more to ship.
    """

    records: int = 0
    claimed: int = 0
    refused: int = 0
    raw_bytes: int = 0
    is_full: bool = False


@dataclass(slots=True)
class Delivery:
    """A way to the server, valid for one enrolment.

    ``stored_apart`` are the GridFS files of records that are not settled yet, so that a batch that
    is sent again does not store them again. What was inserted and settled, but is not covered, is
    ``uncovered``, since ``waits_since`` on the monotonic clock. ``verification`` counts what was
    compared with its ids before it left the buffer.
    """

    outbox: Outbox
    remote: Remote
    enrolment: Enrolment
    stored_apart: dict[str, str] = field(default_factory=dict)
    inserted_through: int = 0
    absent: Ranges = ()
    uncovered: Counter[str] = field(default_factory=Counter)
    waits_since: float = 0.0
    verification: Verification = field(default_factory=Verification)

    def ship(self, *, rows: int, size: int, linger: float = 0.0) -> Delivered:
        """Ship the next batch: at most ``rows`` records, of ``size`` raw bytes or one record.

        It is covered and acknowledged at once or, with ``linger``, together with what else is
        shipped within so many seconds; a later call does that, also one that finds nothing to ship.
        Without ``linger`` what waits is covered before anything else is sent.

        Raises DependencyError where it is not certain what arrived: the next call sends the same
        again. Raises ConflictError where this is not the agent any more that it was.
        """
        if self.uncovered and not linger:
            self._cover()
        after = max(self.enrolment.acknowledged, self.inserted_through)
        batch = self.outbox.batch(self.enrolment.agent_id, after=after, rows=rows, size=size)
        delivered = self._insert(batch) if batch.records else Delivered()
        if self.uncovered and time.monotonic() - self.waits_since >= linger:
            self._cover()
        return delivered

    def cover_in(self, linger: float) -> float | None:
        """Return the seconds until a call with this ``linger`` covers, None where all is."""
        if not self.uncovered:
            return None
        return max(self.waits_since + linger - time.monotonic(), 0.0)

    def _insert(self, batch: Batch) -> Delivered:
        """Have the server take or refuse each record of a batch."""
        agent_id = self.enrolment.agent_id
        records = self.verification.records(batch.records)
        answer = self.remote.insert([self._document(record) for record in records])
        claims, refusals = self._settle(records, answer)
        if claims:
            self.remote.claim(agent_id, claims)
        if refusals:
            self.outbox.move_to_dead_letters(agent_id, refusals)
        if not self.uncovered:
            self.waits_since = time.monotonic()
        self.uncovered["shipped"] += len(records) - len(refusals)
        self.uncovered["claimed"] += len(claims)
        self.uncovered["deadLetters"] += len(refusals)
        self._note_absent(records, refusals)
        self.inserted_through = records[-1].seq
        self._clear_up()
        raw_bytes = sum(len(record.raw) for record in records)
        return Delivered(len(records), len(claims), len(refusals), raw_bytes, batch.is_full)

    def restore(self, records: Sequence[Record]) -> int:
        """Insert records that were covered before and that the server lost; return how many.

        Nothing is covered or acknowledged again, and what the server refuses now stays missing.
        """
        answer = self.remote.insert([self._document(record) for record in records])
        claims, refusals = self._settle(records, answer)
        if claims:
            self.remote.claim(self.enrolment.agent_id, claims)
        self._clear_up()
        return len(records) - len(refusals)

    def _note_absent(self, records: Sequence[Record], refusals: Sequence[Refusal]) -> None:
        """Note which of the positions up to the last record have no document and never will."""
        after = max(self.enrolment.acknowledged, self.inserted_through)
        refused = {refusal.seq for refusal in refusals}
        stored = ranges_of(record.seq for record in records if record.seq not in refused)
        passed = subtract_ranges([(after + 1, records[-1].seq)], stored)
        self.absent = join_ranges((*self.absent, *passed))

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

    def _cover(self) -> None:
        """Raise committedSeq over all that was inserted, and acknowledge that."""
        agent_id, incarnation = self.enrolment.agent_id, self.enrolment.incarnation
        through = self.inserted_through
        new = join_ranges((*self.enrolment.absent, *self.absent)) if self.absent else None
        if not self.remote.commit(
            agent_id, incarnation, through=through, counts=self.uncovered, absent=new
        ):
            raise self._overtaken()
        self.outbox.acknowledge(agent_id, incarnation, through)
        self.uncovered.clear()

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
