"""What a server acknowledged and does not have: an acknowledgement is not stock.

Every position up to an agent's ``committedSeq`` is a document, a claim, or noted as absent. What is
none of these was deleted on the server, by an index that expires, a script, or a restored dump.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from annals.errors import LakeError
from annals.records.seq_ranges import (
    Ranges,
    count_ranges,
    join_ranges,
    show_ranges,
    subtract_ranges,
)
from annals.settings import Settings
from extractors.cursor import Cursor
from extractors.lake import open_lake
from extractors.mongo import TOKEN, MongoSource


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is missing on the server, by agent, as far as this lake still needs it.

    ``returned`` says that some of what an earlier extraction passed is there now. ``gone_back`` are
    the agents of which the lake has more than the server knows, with both numbers.
    ``unknown_agent`` has documents on the server, and the server does not know it.
    """

    missing: Mapping[str, Ranges] = field(default_factory=dict)
    returned: bool = False
    gone_back: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unknown_agent: str | None = None

    def sentences(self, database: str) -> tuple[str, ...]:
        """Return a sentence for each agent: what is missing, and what ships it again."""
        lost = [
            f"MongoDB acknowledged {count_ranges(ranges):,} records of agent {agent} and does not"
            f" have them: seq {show_ranges(ranges)}. Run `annals sync replay` where that agent runs"
            for agent, ranges in self.missing.items()
        ]
        older = [
            f"MongoDB knows agent {agent} up to seq {known}, the lake has {taken}: the database is"
            " older than the lake. Run `annals sync flush` where that agent runs"
            for agent, (known, taken) in self.gone_back.items()
        ]
        if self.unknown_agent is not None:
            older.append(
                f"the database {database} has documents of agent {self.unknown_agent}, and its"
                " collection of agents does not have that one: they are not read. Run `annals sync"
                " flush` where each agent runs: it makes itself known again"
            )
        return (*lost, *older)


def find_shortfall(settings: Settings) -> Shortfall:
    """Compare what the server holds with what it acknowledged, beyond the cursor of the lake."""
    cursor = _cursor(settings)
    with contextlib.closing(MongoSource(settings)) as source:
        committed, absent = source.committed(), source.absent()
        missing: dict[str, Ranges] = {}
        returned = False
        for agent, through in committed.items():
            passed = cursor.missing.get(agent, ())
            new = _expected(cursor.seq(agent), through, absent.get(agent))
            passed = subtract_ranges(passed, absent.get(agent) or ())
            expected = join_ranges((*passed, *new))
            if not expected:
                continue
            held = source.held(agent, after=expected[0][0] - 1, through=expected[-1][1])
            if absent.get(agent) is None and held:
                expected = passed
            missing[agent] = subtract_ranges(expected, held)
            returned |= subtract_ranges(passed, held) != join_ranges(passed)
        unknown = source.unknown_agent(committed)
    lost = {agent: ranges for agent, ranges in missing.items() if ranges}
    return Shortfall(lost, returned, _gone_back(cursor, committed), unknown)


def _expected(after: int, through: int, absent: Ranges | None) -> Ranges:
    return subtract_ranges([(after + 1, through)], absent or ())


def _gone_back(cursor: Cursor, committed: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {
        agent: (committed.get(agent, 0), taken)
        for agent, taken in cursor.positions.items()
        if cursor.tokens.get(agent) == TOKEN and committed.get(agent, 0) < taken
    }


def _cursor(settings: Settings) -> Cursor:
    try:
        with open_lake(settings) as lake:
            return lake.cursor()
    except LakeError:  # there is none yet
        return Cursor()
