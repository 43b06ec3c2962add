"""Chunks of records become data files: one chunk is encoded while the caller reads the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from annals.records import Record, RecordKind
from extractors.entries import ingestion_day, to_arrow
from extractors.lake import Lake, WrittenFile

CHUNK_BYTES = 32 * 1024 * 1024
"""Raw bytes that make one data file; what is in memory at a time is a small multiple of it."""

LEAST_BATCH_BYTES = 4 * 1024 * 1024
"""What a batch counts for at least: its records have fields beside their raw bytes."""


def chunks(batches: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """Join consecutive batches into chunks of about CHUNK_BYTES raw bytes."""
    chunk: list[Record] = []
    size = 0
    for batch in batches:
        chunk += batch
        size += max(raw_bytes(batch), LEAST_BATCH_BYTES)
        del batch  # or its records would stay in memory while the next ones are read
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def raw_bytes(records: Sequence[Record]) -> int:
    """Return how many raw bytes the records have."""
    return sum(len(record.raw) for record in records)


@dataclass(frozen=True, slots=True)
class Written:
    """Files that wait for their commit, and how many entries are in them."""

    files: list[WrittenFile]
    entries: int


class ChunkWriter:
    """Writes chunks in the background, one at a time; what was not taken is deleted at the end."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")
        self._pending: list[Future[WrittenFile]] = []
        self._files: list[WrittenFile] = []
        self._entries = 0
        self.raw_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True)
        written = [future.result() for future in self._pending if not future.exception()]
        self._lake.discard([*self._files, *written])

    def put(self, chunk: list[Record], *, agent_id: str) -> None:
        """Begin to write a chunk of one agent, one file for each day of ingestion in it.

        The list is emptied, so that its bytes are not held twice. Raises what the chunk before it
        met.
        """
        self.raw_bytes += raw_bytes(chunk)
        self._entries += sum(record.record_kind == RecordKind.ENTRY for record in chunk)
        tables = _tables(chunk, agent_id)
        chunk.clear()
        self._settle()
        self._pending = [
            self._pool.submit(self._lake.write, table, day=day) for day, table in tables
        ]

    def take(self) -> Written:
        """Return what was written so far, all of it complete, and begin again."""
        self._settle()
        written = Written(self._files, self._entries)
        self._files, self._entries, self.raw_bytes = [], 0, 0
        return written

    def _settle(self) -> None:
        while self._pending:
            file = self._pending[0].result()
            self._files.append(file)
            del self._pending[0]
        pa.default_memory_pool().release_unused()


def _tables(chunk: list[Record], agent_id: str) -> list[tuple[int, pa.Table]]:
    by_day: defaultdict[int, list[Record]] = defaultdict(list)
    for record in chunk:
        by_day[ingestion_day(record)].append(record)
    return [(day, to_arrow(rows, agent_id=agent_id)) for day, rows in sorted(by_day.items())]
