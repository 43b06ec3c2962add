"""Puts the ranges of a transcript together again, and says what of the result is proven.

The bytes of every entry and every quarantined range are kept, and their ids prove them. Of what is
between them, which is line ends, the number of bytes is known: what they were is concluded, and
held against the hashes that were taken when the file was read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import NamedTuple

from annals.errors import IntegrityError, UsageError
from annals.records.verification import has_id
from operations.transcripts.kept import Custody, Facts, KeptRange
from sync_agent.buffer.fingerprints import FINGERPRINT_BYTES, digest

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE_END = 2
_GAP_BYTES = 64 * 1024 * 1024
"""The most bytes between records of one file that its records alone can claim."""

Filling = Callable[[int, int], bytes]
"""Gives the bytes of a gap, from its offset and its length."""


def _line_ends(_offset: int, length: int) -> bytes:
    return b"\r\n" if length == _LONGEST_LINE_END else b"\n" * length


def _newlines(_offset: int, length: int) -> bytes:
    return b"\n" * length


def _padded(_offset: int, length: int) -> bytes:
    return b"\n" + bytes(length - 1)


def _zeros_first(_offset: int, length: int) -> bytes:
    return bytes(length - 1) + b"\n"


def _with_mark(filling: Filling) -> Filling:
    def fill(offset: int, length: int) -> bytes:
        return _BOM if offset == 0 and length == len(_BOM) else filling(offset, length)

    return fill


_FILLINGS = tuple(map(_with_mark, (_line_ends, _newlines, _padded, _zeros_first)))


@dataclass(frozen=True, slots=True)
class Transcript:
    """One transcript that can be written: its ranges, in order, and the bytes between them.

    ``size`` is its length. ``proof`` is ``hash`` (of all bytes), ``size`` (the length that was
    noted, with one kind of line end throughout) or ``none``; ``doubt`` says what is not proven.
    ``lost_bytes`` were on disk and never read.
    """

    file_key: str
    file_path: str
    project_id: str
    ranges: tuple[KeptRange, ...]
    filling: Filling
    size: int
    proof: str
    doubt: str
    lost_bytes: int

    @property
    def is_exact(self) -> bool:
        """Whether these are the bytes that were on disk, all of them."""
        return self.proof != "none" and not self.lost_bytes

    def pieces(self, custody: Custody) -> Iterator[bytes]:
        """Yield the bytes of the transcript, each record proven by its id.

        Raises IntegrityError (exit 9) for a record that is not what its id was made of.
        """
        position = 0
        for one, raw in zip(self.ranges, custody.contents(self.ranges), strict=True):
            if not has_id(self.file_key, one.byte_offset, raw, one.entry_id):
                raise IntegrityError(
                    f"the record at {one.file_key}:{one.byte_offset} is not what was read",
                    hint="Run `annals validate --deep`, then `annals repair`.",
                )
            if one.byte_offset > position:
                yield self.filling(position, one.byte_offset - position)
            yield raw
            position = one.end
        if self.size > position:
            yield self.filling(position, self.size - position)


class FileRanges(NamedTuple):
    """What of one transcript can be read, in order of its bytes."""

    file_key: str
    ranges: tuple[KeptRange, ...]


def ranges_of(custody: Custody, session: str) -> list[FileRanges]:
    """Return what can be read of the transcripts of a session, its main file first.

    Nothing is proven here, and records that contradict each other are all there.
    """
    every = (
        FileRanges(key, _readable(custody, key, kept)) for key, kept in _by_file(custody, session)
    )
    return [one for one in every if one.ranges]


def transcripts_of(custody: Custody, session: str) -> list[Transcript]:
    """Return the transcripts of a session, its main file first.

    Raises IntegrityError (exit 9) where the records of a file contradict each other, and UsageError
    (exit 2) if nothing is kept of a file of its own.
    """
    every = (_assembled(custody, key, kept) for key, kept in _by_file(custody, session))
    transcripts = [one for one in every if one is not None]
    if not transcripts:
        raise UsageError(
            f"session {session} has no transcript of its own",
            hint=f"Its records are in {', '.join(custody.files_with(session)) or 'no file'}: give"
            " the session that such a file is named after.",
        )
    return transcripts


def _by_file(custody: Custody, session: str) -> list[tuple[str, list[KeptRange]]]:
    kept = custody.ranges(session)
    keys = sorted(kept, key=lambda key: (key != f"{session}.jsonl", key))
    return [(key, kept[key]) for key in keys]


def _readable(custody: Custody, key: str, kept: Sequence[KeptRange]) -> tuple[KeptRange, ...]:
    whole = [one for one in kept if one.record_kind != "file"]
    if not whole:
        return ()
    newest = _newest(kept)
    try:
        return _chosen(key, whole, newest, _noted_facts(custody, key, newest, whole))
    except IntegrityError:
        return _layered(whole, None)


def _newest(kept: Sequence[KeptRange]) -> KeptRange:
    return max(kept, key=lambda one: (one.ingested_at, one.generation, one.byte_offset))


def _noted_facts(
    custody: Custody, key: str, newest: KeptRange, whole: Sequence[KeptRange]
) -> Facts | None:
    """Return what was noted of a file, None if that was before the file had grown."""
    facts = custody.facts(key, newest.file_path, newest.generation)
    if facts and not facts.tail_hash and facts.offset < _reached(whole, newest):
        return None
    return facts


def _assembled(custody: Custody, key: str, kept: Sequence[KeptRange]) -> Transcript | None:
    whole = [one for one in kept if one.record_kind != "file"]
    if not whole:
        return None
    newest = _newest(kept)
    facts = _noted_facts(custody, key, newest, whole)
    ranges = _chosen(key, whole, newest, facts)
    end = max(ranges[-1].end if ranges else 0, facts.offset if facts else 0)
    gaps = list(_gaps(ranges, end))
    if facts is None and ranges and ranges[-1].end == end:
        end += 1  # the last line's end is in no record
        gaps = list(_gaps(ranges, end))
    _require_few_between(key, gaps, facts)
    draft = Transcript(
        key,
        newest.file_path,
        newest.project_id,
        ranges,
        _FILLINGS[0],
        end,
        "none",
        "",
        max(0, facts.size - facts.offset) if facts else 0,
    )
    return _proven(custody, draft, gaps, facts)


def _require_few_between(key: str, gaps: Iterable[tuple[int, int]], facts: Facts | None) -> None:
    """Raise IntegrityError for a gap that no read of ours has noted: positions may be of others."""
    between = sum(length for _, length in gaps)
    if between > _GAP_BYTES and not (facts and facts.head_hash):
        raise IntegrityError(
            f"the records of {key} leave {between:,} bytes between them, which nothing proves",
            hint="Run `annals validate --deep`, which names what is missing.",
        )


def _reached(kept: Iterable[KeptRange], newest: KeptRange) -> int:
    return max((one.end for one in kept if one.generation == newest.generation), default=0)


def _chosen(
    key: str, kept: Sequence[KeptRange], newest: KeptRange, facts: Facts | None
) -> tuple[KeptRange, ...]:
    """Return the ranges that are the file: of its newest content, by any agent and under any path.

    What was re-parsed later has a newer generation than the rest of its file.
    """
    path = [one for one in kept if one.file_path == newest.file_path]
    generation = facts.generation if facts else newest.generation
    limit = facts.offset if facts else None
    candidates = [
        [one for one in path if one.generation == generation],
        [one for one in kept if one.generation == generation],
        path,
        list(kept),
    ]
    for candidate in candidates:
        ranges = _layered(candidate, limit)
        if ranges and _agrees(ranges, facts):
            return ranges
    raise IntegrityError(
        f"the records of {key} do not add up to one file",
        hint="Run `annals validate --deep`, which names what is missing.",
    )


def _layered(kept: Iterable[KeptRange], limit: int | None) -> tuple[KeptRange, ...]:
    """Return ranges that do not overlap, in order; of two that do, the one of newer generation."""
    ordered = sorted(
        {(one.byte_offset, one.entry_id): one for one in kept}.values(),
        key=lambda one: (-one.generation, one.byte_offset, -(one.seq or 0)),
    )
    taken: list[KeptRange] = []
    starts: list[int] = []
    ends: list[int] = []  # the farthest of the newer ranges up to each start
    for number, one in enumerate(ordered):
        if number and one.generation != ordered[number - 1].generation:
            newer = sorted(taken, key=lambda other: other.byte_offset)
            starts = [other.byte_offset for other in newer]
            ends = list(accumulate((other.end for other in newer), max))
        if limit is not None and one.end > limit:
            continue
        before = bisect_left(starts, one.end)
        if not before or ends[before - 1] <= one.byte_offset:
            taken.append(one)
    return tuple(sorted(taken, key=lambda one: one.byte_offset))


def _agrees(ranges: Sequence[KeptRange], facts: Facts | None) -> bool:
    """Return whether ranges follow each other, and have as many bytes as were noted."""
    pairs = pairwise(ranges)
    if any(after.byte_offset < before.end for before, after in pairs):
        return False
    if facts is None:
        return True
    return sum(one.byte_length for one in ranges) == facts.entry_bytes + facts.quarantined_bytes


def _gaps(ranges: Sequence[KeptRange], end: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of what is between ranges, and behind the last one."""
    position = 0
    for one in ranges:
        if one.byte_offset > position:
            yield position, one.byte_offset - position
        position = one.end
    if end > position:
        yield position, end - position


def _proven(
    custody: Custody, draft: Transcript, gaps: Sequence[tuple[int, int]], facts: Facts | None
) -> Transcript:
    """Return the transcript with the filling that agrees with what was noted, and the proof."""
    for filling in _FILLINGS if facts else _FILLINGS[:1]:
        tried = replace(draft, filling=filling)
        verdict = _compared(tried.pieces(custody), tried.size, facts)
        if verdict == "differs":
            continue
        if verdict == "hash":
            return replace(tried, proof="hash")
        doubt = _doubt(gaps, facts)
        return replace(tried, proof="none" if doubt else "size", doubt=doubt)
    return replace(draft, doubt="the bytes between its records are not line ends")


def _compared(pieces: Iterable[bytes], size: int, facts: Facts | None) -> str:
    """Return ``hash`` if a hash of all bytes agrees, ``differs``, or ``size`` if none is known."""
    if facts is None:
        return "size"
    whole, prefix, position = blake2b(digest_size=16), b"", 0
    head, tail = b"", b""
    for piece in pieces:
        rest = piece
        if position < facts.proved <= position + len(piece):
            cut = facts.proved - position
            whole.update(piece[:cut])
            prefix, rest = whole.digest(), piece[cut:]
        whole.update(rest)
        position += len(piece)
        head = head if len(head) >= FINGERPRINT_BYTES else (head + piece)[:FINGERPRINT_BYTES]
        tail = (tail + piece)[-FINGERPRINT_BYTES:]
    if facts.head_hash and digest(head[: facts.head_length]) != facts.head_hash:
        return "differs"
    if facts.tail_hash and position == facts.offset and digest(tail) != facts.tail_hash:
        return "differs"
    if facts.proved and prefix != facts.prefix_hash:
        return "differs"
    is_hashed = facts.proved == size or (facts.tail_hash and size <= FINGERPRINT_BYTES)
    return "hash" if is_hashed else "size"


def _doubt(gaps: Sequence[tuple[int, int]], facts: Facts | None) -> str:
    """Return what is not proven where no hash covers the whole file; empty if nothing is."""
    if facts is None:
        return "neither its length nor a hash of it is known"
    lengths = {length for offset, length in gaps if (offset, length) != (0, len(_BOM))}
    if len(lengths) <= 1 and max(lengths, default=0) <= _LONGEST_LINE_END:
        return ""
    odd = [f"{length} at {offset}" for offset, length in gaps if length > 1]
    more = ", ..." if len(odd) > 3 else ""  # noqa: PLR2004 (an example of what is meant)
    return f"bytes between records are concluded, not kept: {', '.join(odd[:3])}{more}"
