"""A sync agent with a buffer and a server, and questions to both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annals.records import Record
from annals.settings import Settings, load_settings
from extractors.mongo import MongoSource
from sync_agent.shipping.delivery import Delivered
from sync_agent.shipping.outbox import Outbox, open_outbox
from sync_agent.shipping.shipper import Shipper
from tests.extractors.buffers import Buffer
from tests.servers.running import Mongo


class Agent:
    """A buffer at ``path`` and the shipper on it; ``uri`` may lead through a proxy."""

    def __init__(self, path: Path, mongo: Mongo, *, uri: str | None = None, **given: Any) -> None:
        self.buffer = Buffer(path)
        self.settings: Settings = load_settings(
            sqlite_path=path, mongo_uri=uri or mongo.uri, mongo_db=mongo.name, **given
        )
        self.shipper = Shipper(self.settings)

    def ship(self) -> list[Delivered]:
        """Ship until nothing is left; return what became of each batch."""
        batches = []
        while (delivered := self.shipper.step()).records:
            batches.append(delivered)
        return batches

    def restart(self) -> None:
        """Stop the shipper and start another one."""
        self.shipper.close()
        self.shipper = Shipper(self.settings)

    def put_back(self, copy: Buffer) -> None:
        """Stop, and put an older copy of the buffer in its place."""
        self.shipper.close()
        path = self.buffer.path
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        copy.path.replace(path)
        self.buffer = Buffer(path)
        self.buffer.offset = copy.offset
        self.shipper = Shipper(self.settings)

    def held(self) -> set[str]:
        """Return the ids of the records in the buffer."""
        return {entry.hex() for (entry,) in self.buffer.execute("select entry_id from records")}

    def dead(self) -> dict[str, str]:
        """Return the ids of the dead letters, each with the server's reason."""
        rows = self.buffer.execute("select entry_id, server_reason from dead_letters")
        return {entry_id.hex(): reason for entry_id, reason in rows}

    def acknowledged(self) -> int:
        """Return up to which number this buffer is shipped."""
        rows = self.buffer.execute("select acknowledged from consumers where name = 'mongodb'")
        return int(rows[0][0]) if rows else 0

    @contextlib.contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """Open the buffer as the shipper does."""
        with open_outbox(self.buffer.path) as outbox:
            yield outbox

    def close(self) -> None:
        """Stop the shipper."""
        self.shipper.close()


def reachable(settings: Settings) -> dict[str, list[Record]]:
    """Return what ``read`` gives of every agent at or below its committed position."""
    with contextlib.closing(MongoSource(settings)) as source:
        return {
            agent_id: [
                record
                for batch in source.read(agent_id, after=0, through=through)
                for record in batch
            ]
            for agent_id, through in source.committed().items()
        }


def reachable_ids(settings: Settings) -> set[str]:
    """Return the ids of everything that an extractor would get."""
    return {record.entry_id for records in reachable(settings).values() for record in records}
