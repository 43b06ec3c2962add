"""The seam between the lake and whatever holds records: three calls, and nothing else is asked.

A *position* is ``(agent_id, seq)``. Every buffer is an agent and numbers its records 1, 2, 3, ...;
no clock takes part (docs/specs/positions.md). The suite in ``tests/contracts`` is what an
implementation has to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from annals.records import Record
from extractors.cursor import Cursor

BATCH_RECORDS = 5_000
"""A batch never holds more records than this."""

BATCH_BYTES = 16 * 1024 * 1024
"""A batch never holds more raw bytes than this, unless it is one single larger record."""


class Source(Protocol):
    """Something that durably holds records under positions."""

    def committed(self) -> dict[str, int]:
        """Return, per agent id, up to which seq everything of that agent is durably here."""

    def read(self, agent_id: str, *, after: int, through: int) -> Iterator[list[Record]]:
        """Yield the records of ``agent_id`` in ``(after, through]``, in order, in bounded batches.

        No batch is empty. Raises SourceGapError (exit 9) where records right after ``after`` are
        gone; its ``context["pruned_through"]`` is the last seq that is.
        """

    def acknowledge(self, consumer: str, positions: Mapping[str, int]) -> None:
        """Note that ``consumer`` (a lake's table UUID) never asks again for ``positions``.

        What is noted never goes down. Agents that this source does not know are passed over.
        """


class Agreement(Protocol):
    """What a source and a lake agreed on before an extraction."""

    @property
    def tokens(self) -> Mapping[str, str]:
        """The token of each agent for the next snapshot; empty where there is nothing new."""

    def own_positions(self, cursor: Cursor) -> dict[str, int]:
        """Return the part of a cursor that may be acknowledged to this source."""
