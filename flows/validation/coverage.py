"""Whether every byte of a file on disk belongs to exactly one thing (docs/specs/byte-ledger.md).

Nothing that was counted while reading takes part: the lake's ranges are laid over the file as it is
on disk now, and a range counts only where the bytes there hash to its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from annals.records.verification import has_id

SEPARATORS = b" \t\r\n\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
STEP_BYTES = 8 * 1024 * 1024

ReadAt = Callable[[int, int], bytes]
"""``(length, offset) -> bytes``; less than ``length`` only at the end of the file."""


class Placed(NamedTuple):
    """A range of a transcript under its file key, as the lake or the buffer has it.

    ``source`` tells apart who read it from where: agent, path and generation.
    """

    byte_offset: int
    byte_length: int
    entry_id: str
    record_kind: str
    source: tuple[str, str, int]

    @property
    def end(self) -> int:
        """The offset right after the range."""
        return self.byte_offset + self.byte_length


@dataclass(slots=True)
class Coverage:
    """Where the bytes of files are; the parts add up to ``bytes_on_disk``.

    ``uncovered_bytes`` are the ones that nothing accounts for, ``faults`` names their places and
    those that are covered twice.
    """

    files: int = 0
    bytes_on_disk: int = 0
    entries: int = 0
    quarantined: int = 0
    entry_bytes: int = 0
    quarantined_bytes: int = 0
    separator_bytes: int = 0
    pending_bytes: int = 0
    uncovered_bytes: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Coverage) -> None:
        """Add the figures and faults of ``other``."""
        self.files += other.files
        self.bytes_on_disk += other.bytes_on_disk
        self.entries += other.entries
        self.quarantined += other.quarantined
        self.entry_bytes += other.entry_bytes
        self.quarantined_bytes += other.quarantined_bytes
        self.separator_bytes += other.separator_bytes
        self.pending_bytes += other.pending_bytes
        self.uncovered_bytes += other.uncovered_bytes
        self.faults += other.faults


@dataclass(frozen=True, slots=True)
class File:
    """A file on disk: its names as text, its size, and up to where the agent says it has judged.

    ``is_settled`` says that the file is as the agent left it; of any other the agent claims
    nothing, and what is nowhere yet is pending: the next sync reads it.
    """

    path: str
    key: str
    size: int
    judged: int
    is_settled: bool


def compute_coverage(file: File, ranges: Sequence[Placed], read_at: ReadAt) -> Coverage:
    """Lay ``ranges``, in order of their offset, over the file and say where every byte is."""
    result = Coverage(files=1, bytes_on_disk=file.size)
    position = 0
    for chosen in _chosen(file, ranges, read_at, result):
        _take_gap(file, position, chosen.byte_offset, read_at, result)
        if chosen.record_kind == "entry":
            result.entries += 1
            result.entry_bytes += chosen.byte_length
        else:
            result.quarantined += 1
            result.quarantined_bytes += chosen.byte_length
        position = chosen.end
    _take_tail(file, position, read_at, result)
    return result


def _chosen(
    file: File, ranges: Sequence[Placed], read_at: ReadAt, result: Coverage
) -> Iterator[Placed]:
    """Yield those ranges that are in the file now, one after the other.

    Where readings of other generations or of files with the same key fit too, this path's newest
    generation counts.
    """
    last: Placed | None = None
    for _, group in groupby(ranges, key=lambda found: found.byte_offset):
        fitting = (
            found
            for found in sorted(group, key=lambda found: _preference(file, found), reverse=True)
            if _fits(file, found, read_at)
        )
        for found in fitting:
            if last is None or found.byte_offset >= last.end:
                last = found
                yield found
            elif found.source == last.source and found.entry_id != last.entry_id:
                result.faults.append(
                    f"{file.path}: bytes {found.byte_offset} to {min(found.end, last.end)}"
                    " are covered twice"
                )


def _preference(file: File, found: Placed) -> tuple[bool, int, int]:
    _, path, generation = found.source
    return path == file.path, generation, found.byte_length


def _fits(file: File, found: Placed, read_at: ReadAt) -> bool:
    if found.end > file.size:
        return False
    raw = read_at(found.byte_length, found.byte_offset)
    return has_id(file.key, found.byte_offset, raw, found.entry_id)


def _take_gap(file: File, start: int, end: int, read_at: ReadAt, result: Coverage) -> None:
    """Count what lies between two ranges: separators, and anything else as uncovered."""
    if start == end:
        return
    uncovered = _without_separators(start, end, read_at)
    result.separator_bytes += end - start - uncovered
    if not file.is_settled:
        result.pending_bytes += uncovered
    elif uncovered:
        result.uncovered_bytes += uncovered
        result.faults.append(f"{file.path}: {uncovered} bytes from {start} to {end} are nowhere")


def _take_tail(file: File, start: int, read_at: ReadAt, result: Coverage) -> None:
    """Count what follows the last range: separators, then what is pending.

    What the agent says it has judged must not be pending.
    """
    judged = min(file.size, max(start, file.judged))
    _take_gap(file, start, judged, read_at, result)
    position = judged
    while position < file.size:
        block = read_at(STEP_BYTES, position)
        rest = block.lstrip(SEPARATORS)
        result.separator_bytes += len(block) - len(rest)
        position += len(block) - len(rest)
        if rest or not block:
            break
    result.pending_bytes += file.size - position


def _without_separators(start: int, end: int, read_at: ReadAt) -> int:
    """Return how many bytes from ``start`` to ``end`` are not separators."""
    count = 0
    for position in range(start, end, STEP_BYTES):
        block = read_at(min(STEP_BYTES, end - position), position)
        if position == 0:
            block = block.removeprefix(BYTE_ORDER_MARK)
        count += len(block.translate(None, SEPARATORS))
    return count
