"""The collections on the server: their indexes, and what would delete documents by itself.

An index is ours only if it does nothing but find: with our keys and an expiry it deletes documents
that were acknowledged and that no lake may have yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from annals.records.document import AGENTS, BUCKET, CLAIMS, CONVERSATIONS

if TYPE_CHECKING:
    from annals.mongo.connection import Collection

INDEXES = {
    CONVERSATIONS: (
        (("agentId", 1), ("seq", 1)),
        (("sessionId", 1), ("seq", 1)),
        (("projectId", 1), ("ingestedAt", 1)),
        (("ingestedAt", 1),),
    ),
    CLAIMS: ((("agentId", 1), ("seq", 1)),),
}
"""The indexes that are made on start, by collection (DESIGN section 4)."""

STORED = (CONVERSATIONS, CLAIMS, AGENTS, f"{BUCKET}.files", f"{BUCKET}.chunks")

_EXPIRY = "expireAfterSeconds"
_RESTRICTIONS = (_EXPIRY, "partialFilterExpression", "sparse", "unique")


def create_missing(collection: Collection[Any]) -> None:
    """Create the indexes that a collection lacks; one with other options does not count."""
    present = [index for index in _indexes(collection).values() if _only_finds(index)]
    for keys in INDEXES[collection.name]:
        if not any(tuple(index["key"]) == keys for index in present):
            collection.create_index(list(keys))


def deletion_rules(collection: Collection[Any]) -> list[str]:
    """Return what deletes documents of a collection: an expiring index, a limit of its size."""
    found = [
        f"the index {name} of {collection.name} deletes documents after {index[_EXPIRY]} seconds"
        for name, index in _indexes(collection).items()
        if _EXPIRY in index
    ]
    if collection.options().get("capped"):
        found.append(f"{collection.name} is capped: the server deletes its oldest documents")
    return found


def _indexes(collection: Collection[Any]) -> Mapping[str, Mapping[str, Any]]:
    return collection.index_information()


def _only_finds(index: Mapping[str, Any]) -> bool:
    return not any(index.get(name) not in (None, False) for name in _RESTRICTIONS)
