"""MongoDB as a source: what the sync agents shipped, under their positions.

Read from the primary with majority concern, so that nothing is extracted that a failover can take
back (docs/specs/shipping.md). Together with the agent's own module the only one that speaks to a
server.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

import gridfs
import pymongo
from pymongo import ReadPreference
from pymongo.errors import (
    ConfigurationError,
    InvalidName,
    InvalidURI,
    OperationFailure,
    ProtocolError,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from analytics.errors import IntegrityError, SourceGapError
from analytics.settings import Settings
from analytics.settings.mongo import (
    open_client,
    refused_login,
    unreachable,
    uri_fault,
    wrong_database,
)
from analytics.transcripts import Record
from analytics.transcripts.documents import (
    AGENTS,
    BUCKET,
    CLAIMS,
    CONVERSATIONS,
    decode_raw,
    to_record,
)
from extractors.cursor import Cursor
from extractors.source import BATCH_BYTES, BATCH_RECORDS

TOKEN = "mongodb"  # noqa: S105 -- a mark in the snapshot, no secret
"""The token of positions that came from a server: no buffer ever notes it."""

_FORBIDDEN = (13, 18, 8000)
_CLAIMS_AT_ONCE = 500
_DOCUMENTS_AT_ONCE = (0, 16, 2)
"""Sizes of an answer, each tried where the one before was too long; 0 leaves it to the server."""

Document = dict[str, Any]
Located = tuple[int, str, Document]
"""A document under a position: seq, entry id, and the document."""


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
        self._client: pymongo.MongoClient[Document] = open_client(
            settings, pymongo.MongoClient, faults=(ConfigurationError, InvalidURI)
        )
        try:
            self._database = self._client.get_database(
                settings.mongo_db,
                read_concern=ReadConcern("majority"),
                read_preference=ReadPreference.PRIMARY,
            )
        except InvalidName as error:
            raise wrong_database(str(error), settings) from error
        self._bucket = gridfs.GridFSBucket(self._database, bucket_name=BUCKET)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def agree(self, cursor: Cursor) -> MongoAgreement:
        """Pin the positions to what they are now; mark those that an extraction will move."""
        self._pinned = self.committed()
        moving = {agent for agent, seq in self._pinned.items() if seq > cursor.seq(agent)}
        return MongoAgreement(dict.fromkeys(moving, TOKEN))

    def committed(self) -> dict[str, int]:
        """Return how far each agent has shipped."""
        if self._pinned is not None:
            return dict(self._pinned)
        with self._faults():
            agents = self._database[AGENTS].find({}, {"committedSeq": 1})
            return {
                agent["_id"]: int(agent["committedSeq"])
                for agent in agents
                if isinstance(agent.get("committedSeq"), int)
            }

    def last_heartbeat(self) -> datetime | None:
        """Return when an agent last wrote here, by the server's clock; None where none ever did."""
        with self._faults():
            agents = self._database[AGENTS].find({}, {"heartbeatAt": 1})
            found = [agent.get("heartbeatAt") for agent in agents]
        beats = [beat.replace(tzinfo=UTC) for beat in found if isinstance(beat, datetime)]
        return max(beats, default=None)

    def read(self, agent_id: str, *, after: int, through: int) -> Iterator[list[Record]]:
        """Yield the records in ``(after, through]``, claimed ones under their claim's position.

        Two records can have one number, where a buffer was restored from a copy: they are never
        parted by the end of a batch. Raises SourceGapError where records after ``after`` never came
        to this server, DependencyError where it does not answer, IntegrityError where what a
        claim refers to is gone.
        """
        with self._faults():
            self._refuse_gap(agent_id, after)
            wanted = {"agentId": agent_id, "seq": {"$gt": after, "$lte": through}}
            with (
                contextlib.closing(self._sorted(CONVERSATIONS, wanted, "seq", "_id")) as documents,
                contextlib.closing(self._sorted(CLAIMS, wanted, "seq", "_id")) as claims,
            ):
                own = ((found["seq"], found["_id"], found) for found in documents)
                found = heapq.merge(own, self._claimed(claims), key=lambda one: one[:2])
                yield from self._batches(found)

    def acknowledge(self, consumer: str, positions: Mapping[str, int]) -> None:
        """Do nothing: MongoDB prunes nothing."""

    def _sorted(self, collection: str, wanted: Document, *keys: str) -> Generator[Document]:
        """Yield what is wanted in the order of ``keys``, which are unique together.

        MongoDB ends an answer at 16 MiB, other servers of its protocol do not: where one answer is
        too long for the protocol, it is gone on with fewer documents at once.
        """
        last: tuple[Any, ...] = ()
        for at_once in _DOCUMENTS_AT_ONCE:
            rest = {"$and": [wanted, {keys[0]: {"$gte": last[0]}}]} if last else wanted
            found = self._database[collection].find(rest, sort=[(key, 1) for key in keys])
            found.batch_size(at_once).allow_disk_use(True)  # noqa: FBT003 -- as the driver has it
            try:
                with found:
                    for document in found:
                        place = tuple(document[key] for key in keys)
                        if place > last:
                            last = place
                            yield document
            except ProtocolError:
                if at_once == _DOCUMENTS_AT_ONCE[-1]:
                    raise
            else:
                return

    def _claimed(self, claims: Iterator[Document]) -> Iterator[Located]:
        """Yield what the claims refer to; it is looked up for many at once."""
        while some := list(islice(claims, _CLAIMS_AT_ONCE)):
            wanted = {"_id": {"$in": [claim["entryId"] for claim in some]}}
            documents = {one["_id"]: one for one in self._sorted(CONVERSATIONS, wanted, "_id")}
            for claim in sorted(some, key=lambda one: (one["seq"], one["entryId"])):
                document = documents.get(claim["entryId"])
                if document is None:
                    raise self._lost(claim)
                yield claim["seq"], claim["entryId"], document

    def _batches(self, found: Iterator[Located]) -> Iterator[list[Record]]:
        batch: list[Record] = []
        size = 0
        for seq, group in groupby(found, key=lambda one: one[0]):
            records = [self._record(document, seq) for _, _, document in group]
            grown = sum(len(record.raw) for record in records)
            is_full = size + grown > BATCH_BYTES or len(batch) + len(records) > BATCH_RECORDS
            if batch and is_full:
                yield batch
                batch, size = [], 0
            batch += records
            size += grown
        if batch:
            yield batch

    def _record(self, document: Document, seq: int) -> Record:
        try:
            return to_record(document, decode_raw(document, self._fetch), seq=seq)
        except (KeyError, ValueError, gridfs.NoFile) as error:
            raise IntegrityError(
                f"the document {document.get('_id')} in MongoDB cannot be read: {error}",
                hint="Restore it from a backup, or delete it: an agent that still has its file"
                " ships it again with `sync replay`.",
                entry_id=document.get("_id"),
            ) from error

    def _fetch(self, file_id: str) -> bytes:
        return self._bucket.open_download_stream(file_id).read()

    def _refuse_gap(self, agent_id: str, after: int) -> None:
        agent = self._database[AGENTS].find_one({"_id": agent_id}) or {}
        missing = int(agent.get("missingThrough", 0))
        if after < missing:
            raise SourceGapError(
                f"MongoDB never got the records of agent {agent_id} up to {missing}: its buffer had"
                " pruned them before, and this lake does not have them either",
                hint="Point ICEBERG_WAREHOUSE_PATH at the lake that has them, or restore that;"
                " `extract --full-backfill` goes on with what MongoDB has.",
                pruned_through=missing,
                agent_id=agent_id,
            )

    def _lost(self, claim: Document) -> IntegrityError:
        return IntegrityError(
            f"the document {claim['entryId']} is gone from MongoDB, and a claim refers to it",
            hint="Restore it from a backup, or delete the claim to go on without it.",
            claim=claim["_id"],
        )

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the driver raises into errors of the tree."""
        try:
            yield
        except ConfigurationError as error:
            raise uri_fault(error, self._settings) from error
        except OperationFailure as error:
            if error.code in _FORBIDDEN:
                raise refused_login(_reason(error), self._settings) from error
            raise unreachable(_reason(error), self._settings, kind="OperationFailure") from error
        except PyMongoError as error:
            raise unreachable(str(error), self._settings, kind=type(error).__name__) from error


def _reason(error: OperationFailure) -> str:
    details = error.details or {}
    return str(details.get("errmsg", error))
