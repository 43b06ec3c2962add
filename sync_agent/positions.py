"""What happened to each file since it was read last, and where reading goes on.

Pure functions of what is known, what ``stat`` says and, for a file that must be opened, of its
first and last bytes (docs/specs/reader.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sync_agent.buffer import FileRow, Known
from sync_agent.fingerprints import Edges
from sync_agent.paths import Found, Listing, shown


class State(StrEnum):
    """The state of a file, as stored."""

    ACTIVE = "active"
    VANISHED = "vanished"
    UNREADABLE = "unreadable"


class Event(StrEnum):
    """What a file record tells."""

    DISCOVERED = "discovered"
    GROWN = "grown"
    MOVED = "moved"
    REPLACED = "replaced"
    VANISHED = "vanished"
    RETURNED = "returned"
    RETRIED = "retried"  # a quarantined range was judged again


class Course(StrEnum):
    """How reading of an opened file goes on."""

    RESUME = "resume"  # at the stored offset
    VERIFY = "verify"  # read what was read again, then resume or start again
    RESTART = "restart"  # a new generation at offset 0


@dataclass(frozen=True, slots=True)
class Task:
    """A file to open, what is known of it, and whether it stood at another path before."""

    found: Found
    known: Known | None
    has_moved: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What one look at the root found to do; ``tasks`` are in order of modification time."""

    tasks: list[Task] = field(default_factory=list)
    vanished: list[Known] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def key_of(path: bytes, root: bytes) -> tuple[bytes, bytes]:
    """Return project folder and file key of the transcript ``path`` below ``root``."""
    relative = path[len(root.rstrip(b"/")) + 1 :]
    project, _, key = relative.partition(b"/")
    return project, key


def plan(listing: Listing, known_files: Iterable[Known]) -> Plan:
    """Compare the listing with what is known; a file that did not change is in neither list."""
    known: dict[bytes, Known] = {}
    for item in known_files:
        if item.path not in known or item.state != State.VANISHED:
            known[item.path] = item
    changed: list[Found] = []
    present = 0
    for found in listing.files:
        before = known.get(found.path)
        if before is not None:
            present += before.state != State.VANISHED
            if (
                before.size == found.size
                and before.mtime_ns == found.mtime_ns
                and before.inode == found.inode
                and before.state == State.ACTIVE
            ):
                continue
        changed.append(found)
    living = sum(item.state != State.VANISHED for item in known.values())
    gone = _gone(listing, known) if living > present else []
    if gone and not listing.files and all(item.device != listing.device for item in gone):
        return Plan(warnings=[_not_mounted(listing.root)])
    return _matched(listing, changed, known, gone)


def _not_mounted(root: bytes) -> str:
    return (
        f"{shown(root)} is empty and lies on another disk than the files known from it: nothing is"
        " marked as vanished; mount that disk, or set CLAUDE_DIR"
    )


def _gone(listing: Listing, known: dict[bytes, Known]) -> list[Known]:
    paths = {found.path for found in listing.files}
    return [
        item
        for path, item in known.items()
        if item.state != State.VANISHED and path not in paths and listing.knows(path)
    ]


def _matched(
    listing: Listing, changed: list[Found], known: dict[bytes, Known], gone: list[Known]
) -> Plan:
    """Pair files at new paths with those that are gone from their old ones."""
    by_inode = {(item.device, item.inode, item.key): item for item in gone}
    tasks = []
    for found in sorted(changed, key=lambda found: (found.mtime_ns, found.path)):
        item = known.get(found.path)
        source = None
        if item is None:
            _, key = key_of(found.path, listing.root)
            source = by_inode.pop((found.device, found.inode, key), None)
        tasks.append(Task(found, item or source, source is not None))
    moved = {task.known.file_id for task in tasks if task.known and task.has_moved}
    return Plan(tasks, [item for item in gone if item.file_id not in moved])


def course(row: FileRow, *, size: int, mtime_ns: int, edges: Edges) -> Course:
    """Return how to go on with a known file that now has this size, time, and these edges."""
    if size < row.offset or not edges.match(row.fingerprint):
        return Course.RESTART
    if row.size is None or size > row.size:
        return Course.RESUME
    return Course.RESUME if (size, mtime_ns) == (row.size, row.mtime_ns) else Course.VERIFY
