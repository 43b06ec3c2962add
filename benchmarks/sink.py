"""A server that speaks MongoDB's wire protocol and keeps nothing but counts.

For speed: what the agent takes shows, and not what a database takes. It remembers the agents'
documents, because the handshake needs them, counts the others, and notes how old each line was that
says when it was written. The protocol is described in MongoDB's manual, "MongoDB Wire Protocol".
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from typing import Any

import bson

_HEADER = struct.Struct("<iiii")
_REPLY = struct.Struct("<iqii")
_QUERY, _ANSWER, _MESSAGE = 2004, 1, 2013
_DOCUMENTS = 1
_CHECKSUM = 1
_BODY = 4

Document = dict[str, Any]


class Sink:
    """What the server knows. ``ages`` are the milliseconds since a line says it was written."""

    def __init__(self) -> None:
        self.documents = 0
        self.batches = 0
        self.bytes = 0
        self.ages: list[float] = []
        self.reads_ages = False
        self.agents: dict[str, Document] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves."""
        try:
            while True:
                head = await reader.readexactly(_HEADER.size)
                length, request, _, code = _HEADER.unpack(head)
                body = await reader.readexactly(length - _HEADER.size)
                writer.write(self._answer(request, code, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, request: int, code: int, body: bytes) -> bytes:
        if code == _QUERY:
            place = body.index(b"\0", 4) + 9
            command, sections = bson.decode(body[place:]), {}
        else:
            command, sections = _parsed(body)
        answer = bson.encode(self._do(command, sections))
        if code == _QUERY:
            reply = _REPLY.pack(8, 0, 0, 1) + answer
            return _HEADER.pack(16 + len(reply), 0, request, _ANSWER) + reply
        reply = struct.pack("<iB", 0, 0) + answer
        return _HEADER.pack(16 + len(reply), 0, request, _MESSAGE) + reply

    def _do(self, command: Document, sections: dict[str, bytes]) -> Document:
        name = next(iter(command))
        match name.lower():
            case "hello" | "ismaster":
                answer = _hello()
            case "insert":
                answer = self._insert(command, sections)
            case "update":
                answer = self._update(command, sections)
            case "find":
                answer = self._find(command)
            case "listindexes":
                answer = _cursor([{"v": 2, "key": {"_id": 1}, "name": "_id_"}], command)
            case "annalsstats":
                answer = self._stats(command)
            case _:
                answer = {}
        return {"ok": 1.0} | answer

    def _stats(self, command: Document) -> Document:
        self.reads_ages = bool(command.get("ages", self.reads_ages))
        ages, self.ages = self.ages, []
        counts = {"documents": self.documents, "batches": self.batches, "bytes": self.bytes}
        return {"ages": ages, **counts}

    def _insert(self, command: Document, sections: dict[str, bytes]) -> Document:
        packed = sections.get("documents")
        if command["insert"] != "conversations":
            found = _unpacked(packed) if packed is not None else command["documents"]
            if command["insert"] == "agents":
                self.agents |= {one["_id"]: one for one in found}
            return {"ok": 1.0, "n": len(found)}
        now = time.perf_counter()
        count = _count(packed) if packed is not None else len(command["documents"])
        self.documents += count
        self.batches += 1
        self.bytes += len(packed or b"")
        if self.reads_ages:
            found = _unpacked(packed) if packed is not None else command["documents"]
            self.ages += [(now - at) * 1000 for one in found if (at := _written_at(one))]
        return {"ok": 1.0, "n": count}

    def _update(self, command: Document, sections: dict[str, bytes]) -> Document:
        packed = sections.get("updates")
        matched = 0
        for change in _unpacked(packed) if packed is not None else command["updates"]:
            known = self.agents.get(change["q"].get("_id"))
            wanted = change["q"].get("incarnation")
            if known is None or (wanted is not None and known.get("incarnation") != wanted):
                continue
            matched += 1
            known |= change["u"].get("$set", {})
            for field, value in change["u"].get("$max", {}).items():
                known[field] = max(known.get(field, value), value)
        return {"ok": 1.0, "n": matched, "nModified": matched}

    def _find(self, command: Document) -> Document:
        known = self.agents.get(command.get("filter", {}).get("_id"))
        is_agents = command["find"] == "agents" and known is not None
        return _cursor([known] if is_agents else [], command)


def _hello() -> Document:
    return {
        "ok": 1.0,
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": False,
    }


def _cursor(batch: list[Any], command: Document) -> Document:
    name = f"{command.get('$db', 'db')}.{next(iter(command.values()))}"
    return {"ok": 1.0, "cursor": {"id": bson.Int64(0), "ns": name, "firstBatch": batch}}


def _parsed(body: bytes) -> tuple[Document, dict[str, bytes]]:
    """Return the command of an OP_MSG, and its sequences of documents as they came."""
    (flags,) = struct.unpack_from("<I", body)
    end = len(body) - (_BODY if flags & _CHECKSUM else 0)
    command: Document = {}
    sections = {}
    place = 4
    while place < end:
        kind = body[place]
        (size,) = struct.unpack_from("<i", body, place + 1)
        if kind == _DOCUMENTS:
            stop = body.index(b"\0", place + 5)
            sections[body[place + 5 : stop].decode()] = body[stop + 1 : place + 1 + size]
        else:
            command = bson.decode(body[place + 1 : place + 1 + size])
        place += 1 + size
    return command, sections


def _count(packed: bytes) -> int:
    count = place = 0
    while place < len(packed):
        place += int.from_bytes(packed[place : place + 4], "little")
        count += 1
    return count


def _unpacked(packed: bytes) -> list[Document]:
    return bson.decode_all(packed)


def _written_at(document: Document) -> float | None:
    raw = document.get("raw")
    if document.get("recordKind") != "entry" or not isinstance(raw, str):
        return None
    at = json.loads(raw).get("at")
    return at if isinstance(at, float) else None


async def _main(port: int) -> None:
    server = await asyncio.start_server(Sink().serve, "127.0.0.1", port, limit=2**26)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
