"""What a full backfill needs besides the usual way: everything still held, minus what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from annals.errors import SourceGapError
from annals.records import Record
from extractors.source import Source


def everything_held(source: Source, agent_id: str, through: int) -> Iterator[list[Record]]:
    """Yield all records of an agent that the source still holds; what is pruned is passed over."""
    after = 0
    while True:
        try:
            for batch in source.read(agent_id, after=after, through=through):
                after = batch[-1].seq
                yield batch
        except SourceGapError as gap:
            after = int(str(gap.context["pruned_through"]))
        else:
            return


class KnownIds:
    """The entry ids that the lake has, or is about to get: about 40 bytes each in memory."""

    def __init__(self, batches: Iterable[pa.Array]) -> None:
        self._known: list[pa.Array] = list(batches)

    def drop_known(self, records: list[Record]) -> list[Record]:
        """Return those records whose id is new, each id once, and know them from now on."""
        first = {record.entry_id: record for record in reversed(records)}
        wanted = pa.array(first, pa.large_string())
        for known in self._known:
            found = known.filter(pc.is_in(known, value_set=wanted))
            for entry_id in found.to_pylist():
                first.pop(entry_id, None)
        new = sorted(first.values(), key=lambda record: record.seq)
        if new:
            self._known.append(pa.array([record.entry_id for record in new], pa.large_string()))
        return new
