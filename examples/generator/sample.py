"""The bundled sample: three projects, three months, small enough to be read by people."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from examples.generator import lineage, records, turns
from examples.generator.chain import Project, Session, Thread, World
from examples.generator.dice import SEED, Dice
from examples.generator.eras import UNPRICED_MODEL, era_of
from examples.generator.hazards.usage import synthetic_row
from examples.generator.library import Library
from examples.generator.tree import encode
from examples.generator.truth import Truth

_LONGEST_TEXT = 1_500
_TIDES = Project("/home/ada/src/tide-tables", "main")
_HARBOR = Project("D:\\code\\harbor-api", "feature/berths")
_BAKERY = Project("/Users/river/code/bakery-site", "main")


class _Writer:
    """Draws the sessions of the sample, one after the other, from one seed."""

    def __init__(self, root: Path, seed: int) -> None:
        self.dice = Dice(seed, "sample")
        library = Library(self.dice.child("library"), 120_000, longest=_LONGEST_TEXT)
        self.world = World(root, library, Truth())

    def thread(self, project: Project, version: str, *, day: str, model: str = "") -> Thread:
        """Start the main file of a session that begins at ``day`` (ISO 8601, UTC)."""
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        dice = self.dice.child(day)
        session = Session(self.world, dice, era_of(version), project, start, model=model)
        return turns.main_thread(session)

    def close(self, thread: Thread) -> None:
        """Write a main file to disk."""
        self.world.close(thread.file)


def write_sample(root: Path, *, seed: int = SEED) -> Truth:
    """Write the bundled sample below ``root`` and return its truth.

    It ends on 1 November 2026, spans both changes to winter time, and holds an old version, flat,
    nested and inline subagents, a fork, a compaction, a gateway and a model without a price.
    """
    writer = _Writer(root, seed)
    _write_tides(writer)
    _write_harbor(writer)
    _write_bakery(writer)
    return writer.world.truth


def _write_tides(writer: _Writer) -> None:
    thread = writer.thread(_TIDES, "2.1.207", day="2026-08-05T07:12", model="claude-opus-5")
    _turns(thread, 2, 2)
    turns.subagent(thread, steps=2)
    turns.turn(thread, steps=1)
    writer.close(thread)

    thread = writer.thread(_TIDES, "2.1.219", day="2026-09-14T13:40", model="claude-opus-5")
    _turns(thread, 2, 2)
    copy = lineage.fork(thread, keep=len(thread.kept))
    lineage.compaction_agent(thread)
    turns.turn(copy, steps=2)
    writer.close(thread)
    writer.close(copy)

    thread = writer.thread(_TIDES, "2.1.228", day="2026-10-24T23:35", model="claude-sonnet-5")
    _turns(thread, 6, 1)
    records.queued_prompt(thread)
    turns.answer(thread)
    writer.close(thread)


def _write_harbor(writer: _Writer) -> None:
    thread = writer.thread(_HARBOR, "2.0.74", day="2026-08-12T16:05")
    _turns(thread, 2, 2)
    turns.subagent(thread, steps=1)
    writer.close(thread)

    thread = writer.thread(_HARBOR, "2.1.49", day="2026-09-02T09:20", model="claude-opus-4-6")
    _turns(thread, 2, 2)
    turns.subagent(thread, steps=1, copies=True)
    lineage.nested_response(thread, "a0c0ffee", tool_use_id=f"toolu_01{writer.dice.letters(22)}")
    turns.turn(thread, steps=1)
    writer.close(thread)

    thread = writer.thread(_HARBOR, "2.1.228", day="2026-10-30T18:02", model="deepseek-v3.2")
    thread.session.is_gateway = True
    _turns(thread, 2, 2)
    writer.close(thread)


def _write_bakery(writer: _Writer) -> None:
    thread = writer.thread(_BAKERY, "1.0.108", day="2026-08-30T11:11")
    _turns(thread, 2, 2)
    turns.subagent(thread, steps=1)
    writer.close(thread)

    thread = writer.thread(_BAKERY, "2.1.181", day="2026-10-10T08:44")
    _turns(thread, 3, 2)
    synthetic_row(thread, "rate_limit")
    thread.session.model = UNPRICED_MODEL
    turns.turn(thread, steps=1)
    writer.close(thread)

    thread = writer.thread(_BAKERY, "2.1.228", day="2026-11-01T05:30")
    _turns(thread, 2, 1)
    last = {"type": "mode", "mode": "normal", "sessionId": thread.session.session_id}
    thread.file.entry(encode(last))
    writer.close(thread)

    thread = writer.thread(_BAKERY, "2.1.228", day="2026-11-01T07:55")
    records.states(thread.session, thread)
    writer.close(thread)


def _turns(thread: Thread, count: int, steps: int) -> None:
    for _ in range(count):
        turns.turn(thread, steps=steps)
