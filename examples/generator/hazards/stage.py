"""What every hazard's writer is given: a project of its own, and short ways to write in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from examples.generator.chain import Kept, Project, Session, Thread, World
from examples.generator.dice import Dice
from examples.generator.eras import era_of
from examples.generator.library import Library
from examples.generator.tree import TranscriptFile, encode
from examples.generator.truth import FileTruth, Truth

START = datetime(2026, 9, 7, 8, 30, tzinfo=UTC)
"""When hazards begin, unless they say otherwise."""

NEWEST = "2.1.228"


class Stage:
    """The project folder ``hazard-<name>`` below ``root``, and the truth of what is put there."""

    __slots__ = ("dice", "name", "world")

    def __init__(self, name: str, root: Path, *, seed: int) -> None:
        self.name = name
        self.dice = Dice(seed, "hazard", name)
        library = Library(self.dice.child("library"), 6_000)
        self.world = World(root, library, Truth())

    @property
    def truth(self) -> Truth:
        """What was written so far."""
        return self.world.truth

    @property
    def project(self) -> Project:
        """The hazard's own project."""
        return Project(f"/home/ada/hazards/{self.name}", "main", f"hazard-{self.name}")

    def session(
        self, version: str = NEWEST, *, model: str = "", start: datetime = START
    ) -> Session:
        """Return a new session."""
        dice = self.dice.child(self.dice.bits(64))
        return Session(self.world, dice, era_of(version), self.project, start, model=model)

    def thread(
        self,
        session: Session | None = None,
        *,
        name: str = "",
        agent_id: str = "",
        grown_from: FileTruth | None = None,
    ) -> Thread:
        """Return a thread on a new main file, called ``name`` instead of the session's id.

        With ``agent_id`` its records are a side chain; with ``grown_from`` the file is continued.
        """
        session = session or self.session()
        path = f"{session.project.folder}/{name or session.session_id}.jsonl"
        file = TranscriptFile(path, grown_from=grown_from)
        return Thread(session, file, agent_id=agent_id)

    def close(self, thread: Thread) -> None:
        """Write the file of ``thread`` to disk."""
        self.world.close(thread.file)


def prompt(thread: Thread, text: str = "") -> Kept:
    """Return a prompt that is not written yet; it is counted where its entry is written."""
    session = thread.session
    text = text or session.world.library.prose.take(session.dice, 80).strip()
    members = {"message": {"role": "user", "content": text}}
    tail = {"origin": {"kind": "human"}}
    at = session.later(1_000, 9_000)
    return thread.compose("user", members, at=at, tail=tail, is_human=True)


def write_prompt(thread: Thread, text: str = "", *, end: bytes = b"\n") -> None:
    """Write a prompt as one entry, followed by the separator ``end``."""
    write_entry(thread, prompt(thread, text))
    thread.file.separator(end)


def write_entry(thread: Thread, kept: Kept, *, data: bytes | None = None) -> None:
    """Write a prompt's entry without a separator, as ``data`` where its bytes are special."""
    thread.file.entry(encode(kept.record) if data is None else data)
    thread.count(kept)
    thread.session.world.truth.human_turns += kept.is_human


def torn(thread: Thread, share: float = 0.6) -> bytes:
    """Return the head of a record that was never finished."""
    data = encode(prompt(thread).record)
    return data[: int(len(data) * share)].rstrip()


def tail(thread: Thread, length: int = 90) -> bytes:
    """Return what is left of a record after another was written over its beginning."""
    return encode(prompt(thread).record)[-length:]
