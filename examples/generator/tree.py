"""Files on disk, written together with their ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from examples.generator.truth import FileTruth, Span, SpanKind, Truth

Json = dict[str, Any]

_to_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(members: Json) -> bytes:
    """Return the compact JSON line of a record, without its newline, as Claude Code writes it."""
    return _to_text(members).encode("utf-8")


class TranscriptFile:
    """One transcript that is being written.

    ``path`` is below the root of the tree, its first folder the project. Nothing is on disk before
    :meth:`close`, which also enters the file into the truth. With ``grown_from``, the ledger of the
    file as it is on disk, it is continued there.
    """

    __slots__ = ("_chunks", "_grown_from", "_spans", "entries", "path", "size")

    def __init__(self, path: str, *, grown_from: FileTruth | None = None) -> None:
        self.path = path
        self.size = grown_from.size if grown_from else 0
        self.entries = 0
        self._grown_from = grown_from
        self._chunks: list[bytes] = []
        self._spans: list[Span] = []

    @property
    def key(self) -> str:
        """The path below the project folder."""
        return self.path.partition("/")[2]

    @property
    def is_subagent(self) -> bool:
        """Whether the file's name says that it is a subagent's."""
        return self.path.rpartition("/")[2].startswith("agent-")

    def record(self, members: Json) -> None:
        """Write one record and its newline."""
        self.entry(encode(members))
        self.separator(b"\n")

    def entry(self, data: bytes) -> None:
        """Write bytes that are one entry."""
        self.entries += 1
        self._write(SpanKind.ENTRY, data)

    def separator(self, data: bytes) -> None:
        """Write bytes that separate entries."""
        self._write(SpanKind.SEPARATOR, data)

    def damaged(self, data: bytes, *, reason: str) -> None:
        """Write bytes that are to be quarantined."""
        self._write(SpanKind.QUARANTINE, data, reason)

    def pending(self, data: bytes) -> None:
        """Write an unfinished tail."""
        self._write(SpanKind.PENDING, data)

    def _write(self, kind: SpanKind, data: bytes, reason: str | None = None) -> None:
        self._chunks.append(data)
        self._spans.append(Span(kind, self.size, len(data), reason))
        self.size += len(data)

    def close(self, root: Path, truth: Truth, *, keep_spans: bool = True) -> Path:
        """Write the file below ``root``, enter its ledger into ``truth``, return where it lies."""
        target = root / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab" if self._grown_from else "wb") as file:
            file.write(b"".join(self._chunks))
        ledger = FileTruth.of(self._spans)
        if self._grown_from:
            ledger = self._grown_from.followed_by(ledger)
        truth.files[self.path] = ledger if keep_spans else replace(ledger, spans=())
        self._chunks.clear()
        return target
