"""What should have arrived, from an independent reading of the files, and what has."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from tests.servers.running import Mongo
from tests.sync_agent.agents import reachable_ids
from tests.sync_agent.places import Place


def ids_of(key: str, content: bytes) -> set[str]:
    """Return the ids of the whole lines in ``content``, by the rule of the design document."""
    found = set()
    offset = 0
    for line in content.splitlines(keepends=True):
        record = line.rstrip(b"\n")
        if line.endswith(b"\n") and record:
            name = key.encode() + b"\0" + str(offset).encode() + b"\0" + record
            found.add(blake2b(name, digest_size=16).hexdigest())
        offset += len(line)
    return found


def written(root: Path) -> set[str]:
    """Return the ids of all lines in the files below ``root``: project folder, then file key."""
    found: set[str] = set()
    for path in root.rglob("*.jsonl"):
        key = path.relative_to(root).as_posix().partition("/")[2]
        found |= ids_of(key, path.read_bytes())
    return found


def arrived(mongo: Mongo) -> set[str]:
    """Return the ids of the entries in the server."""
    wanted = {"recordKind": "entry", "agentId": {"$exists": True}}
    return {one["_id"] for one in mongo.conversations.find(wanted, {"_id": 1})}


def assert_arrived(mongo: Mongo, wanted: Iterable[str], *places: Place) -> None:
    """Check that the server has these entries and no others, and that all can be read."""
    expected = set(wanted)
    found = arrived(mongo)
    assert not expected - found, "entries are missing"
    assert not found - expected, "there are entries that nobody wrote"
    settings = places[0].settings.model_copy(update={"mongo_db": mongo.name})
    assert expected <= reachable_ids(settings)
