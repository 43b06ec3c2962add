"""What the generator meant to write: the truth that readers and models are held against.

Nothing here is found by parsing the output. A writer says what it is about to write (an entry,
a separator, a damaged range, a response, a tool call) and these classes add it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1


class SpanKind(StrEnum):
    """What a range of bytes of a transcript is; every byte is in exactly one range."""

    ENTRY = "entry"
    SEPARATOR = "separator"
    QUARANTINE = "quarantine"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Span:
    """A byte range ``[offset, offset + length)``; ``reason`` says why it is quarantined."""

    kind: SpanKind
    offset: int
    length: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FileTruth:
    """The ledger of one file, in bytes and in records; the four byte figures add up to ``size``.

    ``quarantined`` counts damaged ranges, not the chunks a long one is kept in. ``spans`` is empty
    where the profile does not keep them.
    """

    size: int
    entries: int
    entry_bytes: int
    separator_bytes: int
    quarantined: int
    quarantined_bytes: int
    pending_bytes: int
    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> FileTruth:
        """Return the ledger of a file that consists of ``spans``, in order and without gaps."""
        spans = tuple(spans)
        length = dict.fromkeys(SpanKind, 0)
        count = dict.fromkeys(SpanKind, 0)
        for span in spans:
            length[span.kind] += span.length
            count[span.kind] += 1
        return cls(
            size=sum(length.values()),
            entries=count[SpanKind.ENTRY],
            entry_bytes=length[SpanKind.ENTRY],
            separator_bytes=length[SpanKind.SEPARATOR],
            quarantined=count[SpanKind.QUARANTINE],
            quarantined_bytes=length[SpanKind.QUARANTINE],
            pending_bytes=length[SpanKind.PENDING],
            spans=spans,
        )

    def followed_by(self, more: FileTruth) -> FileTruth:
        """Return the ledger of this file with ``more`` appended; spans only where all have them."""
        spans = self.spans + more.spans if self.spans or not self.size else ()
        sums = {name: value + getattr(more, name) for name, value in self.figures().items()}
        return FileTruth(**sums, spans=spans)

    def figures(self) -> dict[str, int]:
        """Return the figures without the spans."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "spans"
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response. ``cache_write`` is the whole of which 5 m and 1 h are the parts."""

    input: int
    output: int
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    web_searches: int = 0

    @property
    def cache_write(self) -> int:
        """Both kinds of cache write together."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """Input, output, cache writes and cache reads together."""
        return self.input + self.output + self.cache_write + self.cache_read


@dataclass(frozen=True, slots=True, order=True)
class Home:
    """One file in which a response stands; the smallest of them owns it."""

    first_at: datetime
    is_subagent: bool
    file_key: str
    session_id: str


@dataclass(slots=True)
class Response:
    """One API response, however many rows and copies it has.

    ``request_id`` is None behind gateways. ``is_final``: some row has a stop reason. ``rows``
    counts the rows of all copies, nested ones included.
    """

    message_id: str
    request_id: str | None
    model: str
    usage: Usage
    is_final: bool
    homes: list[Home] = field(default_factory=list)
    rows: int = 0

    @property
    def owner(self) -> Home:
        """Where it appears first: earliest, then main before subagent file, then by path."""
        return min(self.homes)


@dataclass(slots=True)
class Totals:
    """Sums over some responses."""

    responses: int = 0
    partial_responses: int = 0
    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    web_searches: int = 0

    def add(self, response: Response) -> None:
        """Count one response."""
        usage = response.usage
        self.responses += 1
        self.partial_responses += not response.is_final
        for name in ("input", "output", "cache_write", "cache_write_5m", "cache_write_1h"):
            setattr(self, name, getattr(self, name) + getattr(usage, name))
        self.cache_read += usage.cache_read
        self.web_searches += usage.web_searches


@dataclass(slots=True)
class Truth:
    """Everything that a generated tree holds.

    ``files`` by path below the root, POSIX form. ``entries`` of ``totals()`` count one per record
    in a file; where two files share a file key and bytes (a copied file) bronze has fewer, which
    ``copied_entries`` says. ``sessions`` are the session ids named by entries, or owning them.
    ``human_turns`` counts what a person typed, ``human_turn_rows`` the records that say so, copies
    in forks included. ``tool_calls`` leaves out copies and calls seen only in nested progress.
    """

    files: dict[str, FileTruth] = field(default_factory=dict)
    responses: list[Response] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)
    tool_calls: int = 0
    tool_results: int = 0
    human_turns: int = 0
    human_turn_rows: int = 0
    synthetic_rows: int = 0
    copied_entries: int = 0

    def totals(self) -> dict[str, int]:
        """Return the ledger of all files together, with the number of ``files``."""
        total = {"files": len(self.files)}
        for name in FileTruth.of(()).figures():
            total[name] = sum(getattr(file, name) for file in self.files.values())
        return total

    def usage(self) -> Totals:
        """Return the sums over all responses."""
        total = Totals()
        for response in self.responses:
            total.add(response)
        return total

    def by(self, key: Callable[[Response], str]) -> dict[str, Totals]:
        """Return the sums of each group that ``key`` names, in the order of the names."""
        groups: dict[str, Totals] = {}
        for response in self.responses:
            groups.setdefault(key(response), Totals()).add(response)
        return dict(sorted(groups.items()))

    def by_day(self, zone: tzinfo = UTC) -> dict[str, Totals]:
        """Return the sums of each day (``YYYY-MM-DD``) in ``zone``."""
        return self.by(lambda response: day_of(response, zone))

    def by_model(self) -> dict[str, Totals]:
        """Return the sums of each model."""
        return self.by(lambda response: response.model)

    def by_session(self) -> dict[str, Totals]:
        """Return the sums of each session that owns a response."""
        return self.by(lambda response: response.owner.session_id)

    def merge(self, other: Truth) -> None:
        """Take in the truth of another part of the same tree."""
        self.files.update(other.files)
        self.responses.extend(other.responses)
        self.sessions |= other.sessions
        self.projects |= other.projects
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values, in an order that does not change."""
        return {
            "schema_version": SCHEMA_VERSION,
            "totals": self.totals(),
            "projects": len(self.projects),
            "sessions": sorted(self.sessions),
            **{name: getattr(self, name) for name in COUNTERS},
            "usage": asdict(self.usage()),
            "days_utc": {day: asdict(sums) for day, sums in self.by_day().items()},
            "models": {model: asdict(sums) for model, sums in self.by_model().items()},
            "owners": {session: asdict(sums) for session, sums in self.by_session().items()},
            "files": {path: self.files[path].figures() for path in sorted(self.files)},
        }


COUNTERS = (
    "tool_calls",
    "tool_results",
    "human_turns",
    "human_turn_rows",
    "synthetic_rows",
    "copied_entries",
)


def day_of(response: Response, zone: tzinfo = UTC) -> str:
    """Return the day a response is charged to, as ``YYYY-MM-DD`` in ``zone``."""
    return response.owner.first_at.astimezone(zone).date().isoformat()
