"""MongoDB as the shipper writes it: the only module of the agent that speaks to a server.

Everything is written with ``w: majority, j: true`` and read from the primary with majority concern
(docs/specs/shipping.md). Errors become those of the tree; the password in MONGO_URI is never shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from annals import __version__
from annals.mongo.connection import (
    Collection,
    Document,
    encoded_size,
    open_bucket,
    open_client,
    open_database,
    time_limit,
    with_local_reads,
)
from annals.mongo.faults import (
    DUPLICATE,
    NOT_NOW,
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidDocument,
    NoFile,
    PyMongoError,
    RefusedCommandError,
    mask_address,
    mongo_fault,
    mongo_faults,
    mongo_uri,
    server_reason,
    unreachable,
)
from annals.records.document import (
    AGENTS,
    CLAIMS,
    COMPRESSED_BYTES,
    CONVERSATIONS,
    DOCUMENT_BYTES,
    to_claim,
)
from annals.records.seq_ranges import Ranges, flat_ranges, position_from, ranges_from
from annals.settings import Settings
from sync_agent.shipping.mongo_collections import INDEXES, STORED, create_missing, deletion_rules


class Position(NamedTuple):
    """Where a document stands; None where another program wrote it."""

    agent_id: str | None
    seq: int | None


class Answer(NamedTuple):
    """What became of those in a batch that were not simply inserted, by place in the batch.

    Both say it in the server's words; a duplicate may be one of an index that is not ours.
    """

    duplicates: list[tuple[int, str]]
    refused: dict[int, str]


class Agent(NamedTuple):
    """What the server knows of an agent.

    ``absent`` are positions that were covered without a document, such as those of dead letters;
    None if an older version shipped, which did not note them.
    """

    incarnation: str
    committed: int
    missing_through: int
    absent: Ranges | None = None


class Remote:
    """The server that MONGO_URI names. Safe to use from one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._uri = mongo_uri(settings)
        self._client = open_client(settings)
        database = open_database(self._client, settings)
        self._database = database
        self._conversations: Collection[Document] = database[CONVERSATIONS]
        self._agents: Collection[Document] = database[AGENTS]
        self._claims: Collection[Document] = database[CLAIMS]
        self._bucket = open_bucket(database)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let no call of the body take longer than this."""
        with time_limit(seconds):
            yield

    def make_indexes(self) -> str | None:
        """Create the indexes that are missing; return why that is not possible, where it is not."""
        for name in INDEXES:
            try:
                create_missing(self._database[name])
            except ConnectionFailure as error:
                raise mongo_fault(error, self._settings) from error
            except PyMongoError as error:
                return (
                    f"the indexes of {name} cannot be made, reading will be slow:"
                    f" {server_reason(error, self._settings)}"
                )
        return None

    def deletions(self) -> list[str]:
        """Return what on the server deletes documents by itself: a sentence each."""
        with mongo_faults(self._settings):
            return [fault for name in STORED for fault in deletion_rules(self._database[name])]

    def agent(self, agent_id: str) -> Agent | None:
        """Return what the server knows of an agent, or None."""
        with mongo_faults(self._settings):
            found = self._agents.find_one({"_id": agent_id})
        if found is None:
            return None
        return Agent(
            str(found.get("incarnation")),
            position_from(found.get("committedSeq", 0)),
            position_from(found.get("missingThrough", 0)),
            ranges_from(found["absent"]) if "absent" in found else None,
        )

    def set_committed(self, agent_id: str, incarnation: str, *, through: int) -> bool:
        """Replace positions that are not numbers; False as in :meth:`commit`."""
        change = {"committedSeq": through, "missingThrough": 0}
        return self._update(agent_id, incarnation, {"$set": change})

    def introduce_agent(self, agent_id: str, incarnation: str, *, committed: int) -> bool:
        """Make an agent known; False where it is by now."""
        document = {
            "_id": agent_id,
            "incarnation": incarnation,
            "committedSeq": committed,
            "missingThrough": 0,
            "absent": [1, committed] if committed else [],
            "createdAt": datetime.now(UTC),
            **self._facts(),
        }
        try:
            with mongo_faults(self._settings):
                self._agents.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    def replace_incarnation(self, agent_id: str, *, old: str, new: str) -> bool:
        """Compare and set: False where the incarnation is another one than ``old`` by now."""
        with mongo_faults(self._settings):
            done = self._agents.update_one(
                {"_id": agent_id, "incarnation": old},
                {"$set": {"incarnation": new, **self._facts()}},
            )
        return done.matched_count == 1

    def note_missing(self, agent_id: str, incarnation: str, *, through: int) -> bool:
        """Note that what the agent pruned up to ``through`` never came to this server."""
        return self._update(agent_id, incarnation, {"$max": {"missingThrough": through}})

    def note_absent(
        self, agent_id: str, incarnation: str, absent: Ranges, *, name: str = "absent"
    ) -> bool:
        """Note the covered positions without a document; False as in :meth:`commit`."""
        return self._update(agent_id, incarnation, {"$set": {name: flat_ranges(absent)}})

    def commit(
        self,
        agent_id: str,
        incarnation: str,
        *,
        through: int,
        counts: Mapping[str, int],
        absent: Ranges | None = None,
    ) -> bool:
        """Raise committedSeq; False where this is not the agent's incarnation any more.

        ``absent``, if given, replaces the covered positions without a document.
        """
        change: dict[str, Any] = {
            "$max": {"committedSeq": through},
            "$currentDate": {"heartbeatAt": True},
        }
        if counts:
            change["$inc"] = dict(counts)
        if absent is not None:
            change["$set"] = {"absent": flat_ranges(absent)}
        return self._update(agent_id, incarnation, change)

    def heartbeat(self, agent_id: str, incarnation: str) -> bool:
        """Tell that the agent lives; False where this is not its incarnation any more."""
        return self._update(agent_id, incarnation, {"$currentDate": {"heartbeatAt": True}})

    def _update(self, agent_id: str, incarnation: str, change: Mapping[str, Any]) -> bool:
        with mongo_faults(self._settings):
            done = self._agents.update_one({"_id": agent_id, "incarnation": incarnation}, change)
        return done.matched_count == 1

    def insert(self, documents: Sequence[Document]) -> Answer:
        """Insert documents in one unordered batch; say which were there, and which are refused.

        One that is too large is not sent: it would fail the whole batch. Raises DependencyError
        where nothing is certain about any of them.
        """
        refused = {
            place: "the document is larger than a server takes"
            for place, document in enumerate(documents)
            if document["byteLength"] > COMPRESSED_BYTES and encoded_size(document) > DOCUMENT_BYTES
        }
        places = [place for place in range(len(documents)) if place not in refused]
        duplicates: list[tuple[int, str]] = []
        for place, code, reason in self._errors([documents[place] for place in places]):
            if code == DUPLICATE:
                duplicates.append((places[place], reason))
            else:
                refused[places[place]] = reason
        return Answer(duplicates, refused)

    def _errors(self, documents: list[Document]) -> list[tuple[int, int, str]]:
        """Insert, and return place, code and reason of each document that was not.

        As a command of its own: ``insert_many`` takes twice the time for the same message, to split
        what is never too long and to send again what is sent again anyway.
        """
        if not documents:
            return []
        try:
            with mongo_faults(self._settings):
                answer = self._database.command(
                    "insert",
                    CONVERSATIONS,
                    documents=documents,
                    ordered=False,
                    writeConcern=self._conversations.write_concern.document,
                )
        except (RefusedCommandError, InvalidDocument, DocumentTooLarge, UnicodeError) as error:
            if len(documents) == 1:
                return [(0, 0, server_reason(error, self._settings))]
            # Which of them it was is not said: halves find it.
            half = len(documents) // 2
            second = self._errors(documents[half:])
            first = self._errors(documents[:half])
            return first + [(half + place, code, reason) for place, code, reason in second]
        unsure = answer.get("writeConcernError")
        return self._write_errors(answer.get("writeErrors", ()), unsure=[unsure] if unsure else [])

    def _write_errors(
        self, errors: Iterable[Mapping[str, Any]], *, unsure: Sequence[Mapping[str, Any]]
    ) -> list[tuple[int, int, str]]:
        """Return place, code and reason of each; ``unsure`` are errors of the write concern.

        Raises DependencyError where they leave open what is stored.
        """
        found = [
            (int(one["index"]), int(one["code"]), self._masked(str(one.get("errmsg", ""))))
            for one in errors
        ]
        # Without the write concern nothing is certain; a server that is going down says so.
        not_now = [reason for _, code, reason in found if code in NOT_NOW]
        for reason in (*(self._masked(str(one.get("errmsg", ""))) for one in unsure), *not_now):
            raise unreachable(reason, self._settings, kind="WriteError")
        return found

    def positions(self, entry_ids: Iterable[str], *, majority: bool = True) -> dict[str, Position]:
        """Return where the documents with these ids stand; one that is not there is left out.

        Those count that the majority has, or all that the primary has.
        """
        conversations = self._conversations if majority else with_local_reads(self._conversations)
        with mongo_faults(self._settings):
            found = conversations.find({"_id": {"$in": list(entry_ids)}}, {"agentId": 1, "seq": 1})
            return {
                document["_id"]: Position(document.get("agentId"), document.get("seq"))
                for document in found
            }

    def claim(self, agent_id: str, positions: Sequence[tuple[int, str]]) -> None:
        """Put documents of others under positions of this agent: pairs of seq and entry id."""
        claims = [to_claim(agent_id, seq, entry_id) for seq, entry_id in positions]
        try:
            with mongo_faults(self._settings):
                self._claims.insert_many(claims, ordered=False)
        except BulkWriteError as error:
            details: Mapping[str, Any] = error.details or {}
            unsure = details.get("writeConcernErrors", ())
            for _, code, reason in self._write_errors(
                details.get("writeErrors", ()), unsure=unsure
            ):
                if code != DUPLICATE:
                    raise unreachable(reason, self._settings, kind=type(error).__name__) from error

    def store(self, name: str, content: bytes) -> str:
        """Store bytes in GridFS under a fresh id and return that."""
        file_id = uuid.uuid4().hex
        with mongo_faults(self._settings):
            self._bucket.upload_from_stream_with_id(file_id, name, content)
        return file_id

    def reference(self, entry_id: str) -> str | None:
        """Return the id of the GridFS file that a document refers to."""
        with mongo_faults(self._settings):
            found = self._conversations.find_one({"_id": entry_id, "rawEncoding": "gridfs"})
        return str(found["raw"]) if found else None

    def discard(self, file_id: str) -> None:
        """Delete a GridFS file that no document refers to."""
        with suppress(NoFile), mongo_faults(self._settings):
            self._bucket.delete(file_id)

    def _facts(self) -> Document:
        now = datetime.now(UTC)
        return {"host": self._settings.host_name, "version": __version__, "heartbeatAt": now}

    def _masked(self, text: str) -> str:
        return mask_address(text, uri=self._uri)
