"""The cursor: how far a lake has taken each agent, kept in the snapshot that holds the rows.

Rows and cursor are one snapshot, so they commit in one atomic step. ``annals.positions`` maps agent
ids to seqs, ``annals.tokens`` the same agents to the token that their buffer had noted before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from annals import __version__
from annals.errors import IntegrityError
from annals.records.seq_ranges import Ranges, flat_ranges, ranges_from

POSITIONS = "annals.positions"
TOKENS = "annals.tokens"
MISSING = "annals.missing"
KIND = "annals.kind"
VERSION = "annals.version"


class SnapshotKind(StrEnum):
    """Why a snapshot was committed."""

    EXTRACT = "extract"
    BACKFILL = "backfill"
    MAINTENANCE = "maintenance"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Per agent id: the seq up to which the lake has its records, and the token of that commit.

    ``missing`` are positions that were passed although the source had lost them: if they come back,
    they are appended by their ids.
    """

    positions: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Ranges] = field(default_factory=dict)

    def seq(self, agent_id: str) -> int:
        """Return up to which seq the lake has this agent's records; 0 where it has none."""
        return self.positions.get(agent_id, 0)

    def raised(self, positions: Mapping[str, int], tokens: Mapping[str, str]) -> Cursor:
        """Return a cursor that is nowhere below this one nor below ``positions``.

        The token of an agent is replaced where ``tokens`` names one.
        """
        higher = {agent: max(seq, self.seq(agent)) for agent, seq in positions.items()}
        return Cursor({**self.positions, **higher}, {**self.tokens, **tokens}, self.missing)

    def without(self, missing: Mapping[str, Ranges]) -> Cursor:
        """Return this cursor with other positions as the missing ones."""
        return replace(self, missing={name: lost for name, lost in missing.items() if lost})


def to_summary(cursor: Cursor, kind: SnapshotKind) -> dict[str, str]:
    """Return the snapshot properties that carry ``cursor``."""
    summary = {
        POSITIONS: _as_json(cursor.positions),
        TOKENS: _as_json(cursor.tokens),
        KIND: kind.value,
        VERSION: __version__,
    }
    lost = {agent: flat_ranges(ranges) for agent, ranges in cursor.missing.items()}
    return {**summary, MISSING: _as_json(lost)} if cursor.missing else summary


def from_summary(summary: Mapping[str, str]) -> Cursor | None:
    """Return the cursor that a snapshot carries, or None where it carries none.

    Raises IntegrityError where it carries something that is not a cursor.
    """
    if POSITIONS not in summary:
        return None
    return Cursor(
        _mapping(summary, POSITIONS, _is_seq),
        _mapping(summary, TOKENS, lambda value: isinstance(value, str)),
        {agent: ranges_from(lost) for agent, lost in _mapping(summary, MISSING, _is_list).items()},
    )


def _as_json(mapping: Mapping[str, object]) -> str:
    return json.dumps(dict(mapping), sort_keys=True, separators=(",", ":"))


def _is_seq(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _mapping(summary: Mapping[str, str], name: str, is_valid: Callable[[Any], bool]) -> Any:
    try:
        value = json.loads(summary.get(name, "{}"))
    except ValueError as error:
        raise _unreadable(name) from error
    if not isinstance(value, dict) or not all(map(is_valid, value.values())):
        raise _unreadable(name)
    return value


def _unreadable(name: str) -> IntegrityError:
    return IntegrityError(
        f"a snapshot of the lake carries an unreadable {name}",
        hint="Another program changed the snapshot's summary; roll back to an older snapshot.",
        property=name,
    )
