"""MongoDB as a source: what the sync agents shipped, under their positions.

Read from the primary with majority concern, so that nothing is extracted that a failover can take
back (docs/specs/shipping.md).
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from annals.errors import SourceGapError
from annals.limits import TooLargeError
from annals.mongo.connection import (
    Document,
    decode_bytes,
    open_client,
    open_database,
    raw_collection,
)
from annals.mongo.faults import BSONError, ProtocolError, mongo_faults
from annals.records import Record
from annals.records.document import AGENTS, BUCKET, CLAIMS, CONVERSATIONS
from annals.records.seq_ranges import Ranges, join_ranges, ranges_from, ranges_of
from annals.settings import Settings
from extractors.arrivals import (
    LOOKUP_BYTES,
    Arrival,
    Judge,
    Located,
    Resume,
    decode_document,
    group_lookups,
    locate_claims,
    whole_number,
)
from extractors.cursor import Cursor

TOKEN = "mongodb"  # noqa: S105 -- a mark in the snapshot, no secret
"""The token of positions that came from a server: no buffer ever notes it."""

_DOCUMENTS_AT_ONCE = (0, 16, 2)
"""Sizes of an answer, each tried where the one before was too long; 0 leaves it to the server."""

SMALLEST_PIECE = 64 * 1024
"""GridFS files in smaller pieces on the average are refused; ours have 255 KiB each."""

_PIECES_AT_ONCE = 16
_NAME_LENGTH = 128
_UNREADABLE = (BSONError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class MongoAgreement:
    """A server needs no handshake, and forgets nothing: there is nothing to acknowledge."""

    tokens: Mapping[str, str] = field(default_factory=dict)

    def own_positions(self, _cursor: Cursor) -> dict[str, int]:
        """Return no position: MongoDB prunes nothing."""
        return {}


class MongoSource:
    """The server at MONGO_URI as a source.

    With ``pinned`` positions it answers up to these. Raises SettingsError where MONGO_URI cannot be
    right.
    """

    def __init__(self, settings: Settings, pinned: Mapping[str, int] | None = None) -> None:
        self._settings = settings
        self._pinned = pinned
        self._client = open_client(settings)
        self._database = open_database(self._client, settings)
        self._judge = Judge(
            self._fetch,
            max_bytes=settings.max_line_bytes,
            store=f"mongodb/{settings.mongo_db}",
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def agree_on_positions(self, cursor: Cursor) -> MongoAgreement:
        """Pin the positions to what they are now; mark those that an extraction will move."""
        self._pinned = self.committed()
        moving = {agent for agent, seq in self._pinned.items() if seq > cursor.seq(agent)}
        return MongoAgreement(dict.fromkeys(moving, TOKEN))

    def committed(self) -> dict[str, int]:
        """Return how far each agent has shipped."""
        if self._pinned is not None:
            return dict(self._pinned)
        with mongo_faults(self._settings):
            agents = self._database[AGENTS].find({}, {"committedSeq": 1, "missingThrough": 1})
            return {
                agent["_id"]: seq
                for agent in agents
                if (seq := whole_number(agent.get("committedSeq"))) is not None and _is_agent(agent)
            }

    def last_heartbeat(self) -> datetime | None:
        """Return when an agent last wrote here, by the server's clock; None where none ever did."""
        with mongo_faults(self._settings):
            agents = self._database[AGENTS].find({}, {"heartbeatAt": 1})
            found = [agent.get("heartbeatAt") for agent in agents]
        beats = [beat.replace(tzinfo=UTC) for beat in found if isinstance(beat, datetime)]
        return max(beats, default=None)

    def read(self, agent_id: str, *, after: int, through: int) -> Iterator[list[Record]]:
        """Yield the records in ``(after, through]``, claimed ones under their claim's position.

        Two records can have one number, where a buffer was restored from a copy: they are never
        parted by the end of a batch. What is not a record is quarantined with its reason, and so
        is a claim on a document that is gone. Raises SourceGapError where records after ``after``
        never came to this server, DependencyError where it does not answer.
        """
        with mongo_faults(self._settings):
            self._refuse_gap(agent_id, after)
            wanted = {"agentId": agent_id, "seq": {"$gt": after, "$lte": through}}
            with (
                contextlib.closing(self._sorted(CONVERSATIONS, wanted, "seq")) as documents,
                contextlib.closing(self._sorted(CLAIMS, wanted, "seq")) as claims,
            ):
                own = locate_claims(documents, after)
                claimed = self._claimed(locate_claims(claims, after))
                found = heapq.merge(own, claimed, key=lambda one: (one.seq, one.arrival.name))
                yield from self._judge.batches(found)

    def absent(self) -> dict[str, Ranges | None]:
        """Return the covered positions that have no document, as each agent noted them.

        None stands for an agent of an older version, which did not note them.
        """
        with mongo_faults(self._settings):
            names = dict.fromkeys(("absent", "lost", "missingThrough"), 1)
            agents = list(self._database[AGENTS].find({}, names))
        return {str(agent["_id"]): _absent(agent) for agent in agents}

    def held(self, agent_id: str, *, after: int, through: int) -> Ranges:
        """Return the positions in ``(after, through]`` under which there is a document or claim."""
        wanted = {"agentId": agent_id, "seq": {"$gt": after, "$lte": through}}
        held: list[Ranges] = []
        with mongo_faults(self._settings):
            for collection in (CONVERSATIONS, CLAIMS):
                found = self._database[collection].find(wanted, {"_id": 0, "seq": 1})
                numbers = (whole_number(one.get("seq")) for one in found.sort("seq", 1))
                held.append(ranges_of(one for one in numbers if one is not None))
        return join_ranges(one for ranges in held for one in ranges)

    def unknown_agent(self, known: Iterable[str]) -> str | None:
        """Return an agent that shipped documents and is none of the known ones, or None."""
        with mongo_faults(self._settings):
            found = self._database[CONVERSATIONS].find_one(
                {"agentId": {"$type": "string", "$nin": sorted(known)}, "seq": {"$exists": True}},
                {"agentId": 1},
            )
        return None if found is None else str(found["agentId"])

    def acknowledge(self, consumer: str, positions: Mapping[str, int]) -> None:
        """Do nothing: MongoDB prunes nothing."""

    def _sorted(self, collection: str, wanted: Document, key: str) -> Generator[Arrival]:
        """Yield what is wanted in the order of ``key`` and the id.

        MongoDB ends an answer at 16 MiB, other servers of its protocol do not: where one answer is
        too long for the protocol, it is gone on with fewer documents at once.
        """
        resume = Resume(key)
        for at_once in _DOCUMENTS_AT_ONCE:
            found = raw_collection(self._database, collection).find(
                resume.narrow_query(wanted),
                sort=[(name, 1) for name in dict.fromkeys((key, "_id"))],
            )
            found.batch_size(at_once).allow_disk_use(True)  # noqa: FBT003 -- as the driver has it
            try:
                with found:
                    arrivals = (
                        decode_document(bytes(one.raw), decode_bytes, _UNREADABLE) for one in found
                    )
                    yield from filter(resume.is_new, arrivals)
            except ProtocolError:
                if at_once == _DOCUMENTS_AT_ONCE[-1]:
                    raise
            else:
                return

    def _claimed(self, claims: Iterator[Located]) -> Iterator[Located]:
        """Yield what the claims refer to; it is looked up for many at once."""
        for group in group_lookups(claims):
            ids = filter(None, {claim.arrival.claimed for claim in group})
            held = self._held_documents(ids)
            for claim in sorted(group, key=lambda one: (one.seq, one.arrival.name)):
                yield Located(claim.seq, self._referred(claim.arrival, held))

    def _held_documents(self, ids: Iterable[str]) -> dict[str, Arrival]:
        """Return the documents with these ids, as many as may be held at a time."""
        held: dict[str, Arrival] = {}
        size = 0
        with contextlib.closing(
            self._sorted(CONVERSATIONS, {"_id": {"$in": list(ids)}}, "_id")
        ) as documents:
            for arrival in documents:
                size += len(arrival.raw)
                if held and size > LOOKUP_BYTES:
                    break
                held[arrival.name] = arrival
        return held

    def _referred(self, claim: Arrival, held: Mapping[str, Arrival]) -> Arrival:
        """Return what a claim refers to, or the claim with what is wrong with it."""
        entry_id = claim.claimed
        if entry_id is None:
            return claim._replace(fault=claim.fault or "its entryId is not an entry id")
        if entry_id in held:
            return held[entry_id]
        alone = self._held_documents([entry_id])
        gone = f"the document {entry_id} that it claims is gone from MongoDB"
        return alone.get(entry_id) or claim._replace(fault=gone)

    def _fetch(self, file_id: str, limit: int) -> bytes:
        """Return what GridFS has under an id, piece by piece; ValueError for what is incomplete.

        Neither the length nor the size of the pieces that the file's own document names is used.
        """
        found = raw_collection(self._database, f"{BUCKET}.chunks").find(
            {"files_id": file_id}, sort=[("n", 1)]
        )
        pieces: list[bytes] = []
        size = 0
        with found.batch_size(_PIECES_AT_ONCE):
            for number, document in enumerate(found):
                piece = decode_document(bytes(document.raw), decode_bytes, _UNREADABLE).document
                data = piece.get("data")
                if piece.get("n") != number or not isinstance(data, bytes) or not data:
                    raise ValueError(f"piece {number} of its bytes in GridFS is damaged or missing")
                size += len(data)
                if size > limit or number > limit // SMALLEST_PIECE:
                    raise TooLargeError(limit)
                pieces.append(data)
        if not pieces:
            raise ValueError("its bytes are not in GridFS")
        return b"".join(pieces)

    def _refuse_gap(self, agent_id: str, after: int) -> None:
        agent = self._database[AGENTS].find_one({"_id": agent_id}) or {}
        missing = whole_number(agent.get("missingThrough", 0)) or 0
        if after < missing:
            raise SourceGapError(
                f"MongoDB never got the records of agent {agent_id} up to {missing}: its buffer had"
                " pruned them before, and this lake does not have them either",
                hint="Point ICEBERG_WAREHOUSE_PATH at the lake that has them, or restore that;"
                " `extract --full-backfill` goes on with what MongoDB has.",
                pruned_through=missing,
                agent_id=agent_id,
            )


def _absent(agent: Document) -> Ranges | None:
    if "absent" not in agent:
        return None
    never_came = (1, whole_number(agent.get("missingThrough")) or 0)
    return join_ranges((*ranges_from(agent["absent"]), *ranges_from(agent.get("lost")), never_came))


def _is_agent(agent: Document) -> bool:
    """Return whether the document of an agent can be one; any other has no position."""
    name, missing = agent["_id"], agent.get("missingThrough", 0)
    is_name = isinstance(name, str) and 0 < len(name) <= _NAME_LENGTH and name.isprintable()
    return is_name and whole_number(missing) is not None
