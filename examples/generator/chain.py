"""The chain: one file's records, each naming its parent, with the envelope of its era."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from examples.generator.dice import Dice, Quantiles
from examples.generator.eras import Era
from examples.generator.library import Library
from examples.generator.tree import Json, TranscriptFile
from examples.generator.truth import Response, Truth
from examples.generator.words import NICKNAMES

_SOURCE_SIZES: Quantiles = (
    (0.0, 150),
    (0.5, 600),
    (0.8, 1_700),
    (0.9, 6_000),
    (0.96, 19_000),
    (1.0, 64_000),
)
_BACK: Quantiles = ((0.0, 1), (0.4, 10), (0.6, 900), (0.8, 55_000), (1.0, 3_000_000))
_BACKWARDS = 0.05
"""Share of the records, responses apart, whose timestamp lies before the one above it."""
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Project:
    """A working folder. ``folder`` is the one below the root that its transcripts lie in."""

    cwd: str
    branch: str
    folder_override: str | None = None

    @property
    def folder(self) -> str:
        """The slug: every character outside ``A-Za-z0-9`` becomes a dash."""
        return self.folder_override or _NOT_PLAIN.sub("-", self.cwd)

    def path(self, relative: str) -> str:
        """Return an absolute path of the project in the form of its system."""
        if "\\" in self.cwd:
            return self.cwd + "\\" + relative.replace("/", "\\")
        return f"{self.cwd}/{relative}"


@dataclass(frozen=True, slots=True)
class World:
    """What all files of one tree share: where they go, their texts and their truth."""

    root: Path
    library: Library
    truth: Truth
    keep_spans: bool = True

    def close(self, file: TranscriptFile) -> None:
        """Write ``file`` to disk and its ledger into the truth."""
        file.close(self.root, self.truth, keep_spans=self.keep_spans)
        self.truth.projects.add(file.path.partition("/")[0])


@dataclass(slots=True)
class Session:
    """What the files of one session share. ``now`` is its clock, in UTC."""

    world: World
    dice: Dice
    era: Era
    project: Project
    now: datetime
    session_id: str = ""
    model: str = ""
    is_gateway: bool = False
    context: int = 0
    nickname: str = ""
    source_files: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw what was not given."""
        self.session_id = self.session_id or self.dice.uuid()
        self.model = self.model or self.dice.weighted(self.era.models)
        self.context = self.context or self.dice.between(9_000, 26_000)
        self.nickname = self.nickname or self.dice.pick(NICKNAMES)

    def later(self, low: int, high: int) -> datetime:
        """Move the clock on by ``low`` to ``high`` milliseconds and return the time it shows."""
        self.now += timedelta(milliseconds=self.dice.between(low, high))
        return self.now

    def source_file(self) -> tuple[str, str]:
        """Return path and text of a source file, often one that was returned before."""
        known = self.source_files
        if known and self.dice.chance(0.6):
            return self.dice.pick(known)
        library = self.world.library
        path = self.project.path(library.path(self.dice))
        text = library.code.take(self.dice, self.dice.quantile(_SOURCE_SIZES))
        known.append((path, text))
        return path, text


@dataclass(frozen=True, slots=True)
class Kept:
    """A record of the chain as it was written, so that forks and agents can copy it.

    ``response`` is the one it is a row of, if any.
    """

    record: Json
    response: Response | None
    is_human: bool


class Thread:
    """The records of one file, in order.

    ``parent`` is the uuid that the next one will name, ``kept`` what was written to the chain.
    """

    __slots__ = ("agent_id", "file", "kept", "parent", "prompt_id", "session")

    def __init__(self, session: Session, file: TranscriptFile, *, agent_id: str = "") -> None:
        self.session = session
        self.file = file
        self.agent_id = agent_id
        self.parent: str | None = None
        self.prompt_id = ""
        self.kept: list[Kept] = []

    @property
    def is_sidechain(self) -> bool:
        """Whether these are a subagent's records."""
        return bool(self.agent_id)

    def compose(
        self,
        kind: str,
        members: Json,
        *,
        at: datetime,
        tail: Json | None = None,
        response: Response | None = None,
        is_human: bool = False,
    ) -> Kept:
        """Return the next record of the chain without writing it.

        ``members`` come after the envelope, ``tail`` after uuid and timestamp, as in the originals.
        """
        dice = self.session.dice
        uuid = dice.uuid()
        if response is None and dice.chance(_BACKWARDS):
            at -= timedelta(milliseconds=dice.quantile(_BACK))
        record = self.envelope()
        record |= members | {"type": kind} if kind == "assistant" else {"type": kind} | members
        record |= {"uuid": uuid, "timestamp": stamp(at)} | (tail or {})
        return Kept(record, response, is_human)

    def chained(
        self,
        kind: str,
        members: Json,
        *,
        at: datetime,
        tail: Json | None = None,
        response: Response | None = None,
        is_human: bool = False,
    ) -> str:
        """Write the next record of the chain and return its uuid; parameters as for compose."""
        kept = self.compose(kind, members, at=at, tail=tail, response=response, is_human=is_human)
        self.write(kept)
        return str(kept.record["uuid"])

    def write(self, kept: Kept) -> None:
        """Write a record of the chain as it is, and count it."""
        self.file.record(kept.record)
        self.count(kept)

    def count(self, kept: Kept) -> None:
        """Count a record of the chain that was written in another way."""
        truth = self.session.world.truth
        self.kept.append(kept)
        self.parent = kept.record["uuid"]
        truth.sessions.add(kept.record["sessionId"])
        truth.human_turn_rows += kept.is_human

    def state(self, members: Json) -> None:
        """Write a record that is not part of the chain."""
        self.file.record(members)
        named = members.get("sessionId") or self.file.key.split("/")[0].removesuffix(".jsonl")
        self.session.world.truth.sessions.add(str(named))

    def envelope(self) -> Json:
        """Return the members that every record of the chain starts with."""
        session, era = self.session, self.session.era
        record: Json = {
            "parentUuid": self.parent,
            "isSidechain": self.is_sidechain,
            "userType": "external",
            "cwd": session.project.cwd,
            "sessionId": session.session_id,
            "version": era.version,
        }
        if era.has("git_branch"):
            record["gitBranch"] = session.project.branch
        if self.agent_id and era.has("agent_files"):
            record["agentId"] = self.agent_id
        if era.has("slug"):
            record["slug"] = session.nickname
        if era.has("entrypoint"):
            record["entrypoint"] = "cli"
        if era.has("session_id"):
            record["session_id"] = session.session_id
        return record


def stamp(at: datetime) -> str:
    """Return the form of time that transcripts use: UTC, milliseconds, ``Z``."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"
