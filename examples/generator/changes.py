"""What happens to transcripts between two runs: they grow, shrink, move, break and vanish.

Each function changes one file on disk and, where a truth with spans is given, its ledger too.
Gold after both runs is still the old truth plus what was added: nothing that was read is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from examples.generator import records, turns
from examples.generator.chain import Project, Session, Thread, World
from examples.generator.dice import Dice
from examples.generator.eras import era_of
from examples.generator.library import Library
from examples.generator.tree import TranscriptFile
from examples.generator.truth import FileTruth, Span, SpanKind, Truth

LATER = datetime(2026, 11, 2, 9, tzinfo=UTC)
"""When appended turns happen, unless said otherwise."""

_ROOM_FOR_TURN = 60
"""A short turn takes fewer lines than this."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree on disk and, where known, its truth. ``path`` arguments are below ``root``."""

    root: Path
    truth: Truth | None = None

    def read(self, path: str) -> bytes:
        """Return the bytes of a file."""
        return (self.root / path).read_bytes()

    def ledger(self, path: str) -> FileTruth | None:
        """Return the file's ledger where it is known with its spans, otherwise None."""
        ledger = self.truth.files.get(path) if self.truth else None
        return ledger if ledger and (ledger.spans or not ledger.size) else None

    def note(self, path: str, spans: Iterable[Span] | None) -> None:
        """Enter the new ledger of a file."""
        if self.truth is not None and spans is not None:
            self.truth.files[path] = FileTruth.of(spans)


def truncate(tree: Tree, path: str, *, size: int) -> None:
    """Cut a file off at ``size`` bytes: an entry that is cut through becomes a pending tail."""
    ledger = tree.ledger(path)
    os.truncate(tree.root / path, size)
    if ledger is None:
        return
    kept = [span for span in ledger.spans if span.offset + span.length <= size]
    end = kept[-1].offset + kept[-1].length if kept else 0
    if end < size:
        kept.append(Span(SpanKind.PENDING, end, size - end))
    tree.note(path, kept)


def splice(tree: Tree, path: str, *, line: int) -> None:
    """Remove the newline after line number ``line`` (from 0): two records on one line."""
    data = tree.read(path)
    offset = -1
    for _ in range(line + 1):
        offset = data.index(b"\n", offset + 1)
    _rewrite(tree, path, data[:offset] + data[offset + 1 :])
    ledger = tree.ledger(path)
    if ledger is not None:
        tree.note(path, _without(ledger.spans, offset))


def _without(spans: Iterable[Span], offset: int) -> list[Span]:
    """Return the spans without the one-byte separator at ``offset``."""
    kept = []
    for span in spans:
        if span.offset > offset:
            kept.append(replace(span, offset=span.offset - 1))
        elif span.offset != offset:
            kept.append(span)
    return kept


def overwrite(tree: Tree, path: str, *, line: int, data: bytes, reason: str = "not_json") -> None:
    """Write ``data`` and a newline over the beginning of a longer line, in place (H1).

    ``data`` is one entry and shorter than the line by at least two bytes; what is left of the line
    is garbage on a line of its own. Size and inode stay.
    """
    ledger = tree.ledger(path)
    lines = tree.read(path).split(b"\n")
    offset = sum(len(each) + 1 for each in lines[:line])
    with (tree.root / path).open("r+b") as file:
        file.seek(offset)
        file.write(data + b"\n")
    if ledger is None:
        return
    spans = []
    for span in ledger.spans:
        if span.offset != offset or span.kind is not SpanKind.ENTRY:
            spans.append(span)
            continue
        rest = offset + len(data) + 1
        spans += [
            Span(SpanKind.ENTRY, offset, len(data)),
            Span(SpanKind.SEPARATOR, rest - 1, 1),
            Span(SpanKind.QUARANTINE, rest, offset + span.length - rest, reason),
        ]
    tree.note(path, spans)


def delete(tree: Tree, path: str) -> None:
    """Delete a file at the source; its ledger leaves the truth, its responses stay."""
    (tree.root / path).unlink()
    if tree.truth is not None:
        tree.truth.files.pop(path, None)


def move(tree: Tree, path: str, *, folder: str) -> str:
    """Move a file, inode and all, into another project folder and return its new path."""
    target = f"{folder}/{path.partition('/')[2]}"
    (tree.root / target).parent.mkdir(parents=True, exist_ok=True)
    (tree.root / path).rename(tree.root / target)
    if tree.truth is not None:
        ledger = tree.truth.files.pop(path, None)
        if ledger is not None:
            tree.truth.files[target] = ledger
        tree.truth.projects.add(folder)
    return target


def append(tree: Tree, path: str, *, data: bytes, kind: SpanKind = SpanKind.ENTRY) -> None:
    """Append bytes that are all of one ``kind``, such as a torn tail; no newline is added."""
    with (tree.root / path).open("ab") as file:
        file.write(data)
    ledger = tree.ledger(path)
    if ledger is not None:
        tree.note(path, [*ledger.spans, Span(kind, ledger.size, len(data))])


def append_lines(tree: Tree, path: str, *, lines: int, seed: int = 1, at: datetime = LATER) -> None:
    """Append exactly ``lines`` lines of new turns to the session of a file."""
    thread = _continued(tree, path, seed=seed, at=at)
    _write_lines(thread, lines)
    thread.session.world.close(thread.file)


def replace_file(
    tree: Tree, path: str, *, lines: int = 12, seed: int = 1, at: datetime = LATER
) -> None:
    """Put another transcript of the same name in the place of a file, with a new inode (H5)."""
    temporary = tree.root / f"{path}.tmp"
    (tree.root / path).rename(temporary)
    thread = _continued(tree, path, seed=seed, at=at, again=True)
    _write_lines(thread, lines)
    thread.session.world.close(thread.file)
    temporary.unlink()


def grow(tree: Tree, paths: Iterable[str], *, lines: int, seed: int = 1) -> None:
    """Append together exactly ``lines`` lines, shared evenly by the files at ``paths``."""
    targets = list(paths)
    for number, path in enumerate(targets):
        share = lines * (number + 1) // len(targets) - lines * number // len(targets)
        append_lines(tree, path, lines=share, seed=seed + number)


def _continued(tree: Tree, path: str, *, seed: int, at: datetime, again: bool = False) -> Thread:
    folder, _, key = path.partition("/")
    known = None if again else tree.ledger(path) or _sized(tree, path)
    dice = Dice(seed, "change", path)
    library = Library(dice.child("library"), 20_000)
    world = World(tree.root, library, tree.truth if tree.truth is not None else Truth())
    project = Project(f"/home/ada/src/{folder.strip('-')}", "main", folder)
    session_id = key.split("/")[0].removesuffix(".jsonl")
    session = Session(world, dice, era_of("2.1.228"), project, at, session_id=session_id)
    agent_id = path.rpartition("/agent-")[2].removesuffix(".jsonl") if "/agent-" in path else ""
    return Thread(session, TranscriptFile(path, grown_from=known), agent_id=agent_id)


def _sized(tree: Tree, path: str) -> FileTruth:
    """Return a ledger for a file of which only its size is known."""
    if tree.truth is not None and path in tree.truth.files:
        return tree.truth.files[path]
    return FileTruth((tree.root / path).stat().st_size, 0, 0, 0, 0, 0, 0)


def _write_lines(thread: Thread, lines: int) -> None:
    while lines - thread.file.entries > _ROOM_FOR_TURN:
        turns.turn(thread, steps=2)
    while thread.file.entries < lines:
        records.injected(thread, "Continue from where you left off.")


def _rewrite(tree: Tree, path: str, data: bytes) -> None:
    """Write a file again under its old inode."""
    with (tree.root / path).open("r+b") as file:
        file.write(data)
        file.truncate()
