"""What happened to each file since it was read last, and where reading goes on.

Pure functions of what is known, what ``stat`` says and, for a file that must be opened, of its
first and last bytes (docs/specs/reader.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sync_agent.buffer.fingerprints import Edges
from sync_agent.buffer.rows import FileRow, FileState, Known
from sync_agent.reading.paths import Found, Listing, shown


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
    """A file to open, what is known of it, and whether it stood at another path before.

    ``from_start`` asks for a new generation: what was read of the file proved to be wrong.
    """

    found: Found
    known: Known | None
    has_moved: bool = False
    from_start: bool = False


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


def plan(listing: Listing, known_files: Iterable[Known], *, others: int = 0) -> Plan:
    """Compare the listing with what is known; a file that did not change is in neither list.

    ``others`` counts unchanged files that are in neither of the two given. What is known is read
    once, and only that of files that changed is kept.
    """
    changed = {found.path: found for found in listing.files}
    known: dict[bytes, Known] = {}
    for item in known_files:
        found = changed.get(item.path)
        if found is not None and is_unchanged(item, found):
            del changed[item.path]
            known.pop(item.path, None)
        elif item.path not in known or item.state != FileState.VANISHED:
            known[item.path] = item
    gone = [
        item
        for path, item in known.items()
        if item.state != FileState.VANISHED and path not in changed and listing.knows(path)
    ]
    is_empty = not listing.files and not others
    if gone and is_empty and all(item.device != listing.device for item in gone):
        return Plan(warnings=[_not_mounted(listing.root)])
    return _matched(listing, list(changed.values()), known, gone)


def is_unchanged(known: Known, found: Found) -> bool:
    """Return whether the file is as it was when it was read last, as far as ``stat`` tells."""
    return (
        known.size == found.size
        and known.mtime_ns == found.mtime_ns
        and known.inode == found.inode
        and known.state == FileState.ACTIVE
    )


def _not_mounted(root: bytes) -> str:
    return (
        f"{shown(root)} is empty and lies on another disk than the files known from it: nothing is"
        " marked as vanished; mount that disk, or set CLAUDE_DIR"
    )


def _matched(
    listing: Listing, changed: list[Found], known: dict[bytes, Known], gone: list[Known]
) -> Plan:
    """Pair files with those that are gone from their paths, or whose path holds another now.

    A moved file may have left another in its place, and may have taken the place of another.
    """
    changed.sort(key=lambda found: (found.mtime_ns, found.path))
    displaced = [
        item
        for found in changed
        if (item := known.get(found.path)) is not None
        and item.state != FileState.VANISHED
        and not _is_same_file(item, found)
    ]
    by_inode = {(item.device, item.inode, item.key): item for item in (*gone, *displaced)}
    sources: dict[bytes, Known] = {}
    for found in changed:
        item = known.get(found.path)
        if item is None or not _is_same_file(item, found):
            _, key = key_of(found.path, listing.root)
            source = by_inode.pop((found.device, found.inode, key), None)
            if source is not None:
                sources[found.path] = source
    moved = {source.file_id for source in sources.values()}
    tasks = []
    for found in changed:
        source, item = sources.get(found.path), known.get(found.path)
        if source is None and item is not None and item.file_id in moved:
            item = None  # what is there now is another file
        tasks.append(Task(found, source or item, source is not None))
    lost = [*gone, *(item for item in displaced if item.path in sources)]
    return Plan(tasks, [item for item in lost if item.file_id not in moved])


def _is_same_file(known: Known, found: Found) -> bool:
    return (known.device, known.inode) == (found.device, found.inode)


def choose_course(row: FileRow, *, size: int, mtime_ns: int, edges: Edges) -> Course:
    """Return how to go on with a known file that now has this size, time, and these edges."""
    if size < row.offset or not edges.match(row.fingerprint):
        return Course.RESTART
    if row.size is None or size > row.size:
        return Course.RESUME
    return Course.RESUME if (size, mtime_ns) == (row.size, row.mtime_ns) else Course.VERIFY
