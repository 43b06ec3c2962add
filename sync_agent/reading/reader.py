"""A transcript file as ranges, from an offset on, in bounded memory (docs/specs/reader.md)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from sync_agent.buffer.fingerprints import (
    FINGERPRINT_BYTES,
    Edges,
    Fingerprint,
    digest,
    fingerprint,
)
from sync_agent.reading.ranges import (
    BYTE_ORDER_MARK,
    PIECE_BYTES,
    RECOVERY_BYTES,
    SEPARATORS,
    TOO_LONG,
    Bytes,
    Range,
    judge,
    leading_entries,
    read_entry,
)

CHUNK_BYTES = 1024 * 1024
"""So much is read at a time."""

ReadAt = Callable[[int, int], bytes]
"""``(length, offset) -> bytes``: empty at the end of the file."""


class Reader:
    """Reads from ``position`` up to ``limit`` and yields every entry and quarantined range.

    ``position`` is the offset up to which every byte is judged; what lies between the ranges are
    separators. It never passes an unfinished last line. At most ``max_line_bytes``
    and a chunk are held. ``edges`` are the first and last bytes before ``position``.
    """

    def __init__(
        self,
        read_at: ReadAt,
        *,
        position: int,
        limit: int,
        max_line_bytes: int,
        edges: Edges | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.position = position
        self.bytes_read = 0
        self.was_cut = False
        self._read_at = read_at
        self._read_to = position
        self._limit = limit
        self._max_line_bytes = max_line_bytes
        self._chunk_bytes = max(chunk_bytes, len(BYTE_ORDER_MARK))
        self._head = edges.head if edges else b""
        self._before = edges.tail if edges else b""
        self._start = position
        self._block: Bytes = b""

    def fingerprint(self, before: Fingerprint | None = None) -> Fingerprint:
        """Return the fingerprint of what is judged, made of the bytes that were read.

        ``before`` is that of an earlier position: a head that was whole by then stays as it was.
        """
        head, tail = self._edges(self.position - self._start)
        if before is not None and before.head_length == FINGERPRINT_BYTES:
            return Fingerprint(before.head_hash, before.head_length, digest(tail))
        return fingerprint(head, tail)

    def __iter__(self) -> Iterator[Range]:
        while chunk := self._read():
            if self._block:
                yield from self._extend(chunk)
            else:
                yield from self._lines(chunk)
        yield from self._tail()

    def _read(self) -> bytes:
        wanted = min(self._chunk_bytes, self._limit - self._read_to)
        if wanted <= 0:
            return b""
        chunk = self._read_at(wanted, self._read_to)
        self._read_to += len(chunk)
        self.bytes_read += len(chunk)
        self.was_cut = not chunk
        return chunk

    def _lines(self, block: bytes) -> Iterator[Range]:
        """Yield the ranges of every complete line of ``block``, and keep the unfinished one."""
        self._block = block
        if self._start == 0 and block.startswith(BYTE_ORDER_MARK):
            self._release(len(BYTE_ORDER_MARK))
        *lines, unfinished = self._block.split(b"\n")
        offset = self._start
        for line in lines:
            trimmed = line.strip(SEPARATORS)
            if trimmed:
                start = offset
                if len(trimmed) != len(line):
                    start += len(line) - len(line.lstrip(SEPARATORS))
                envelope = read_entry(trimmed)
                if envelope is not None:
                    self.position = start + len(trimmed)
                    yield Range(start, trimmed, envelope, None)
                else:
                    yield from self._placed(judge(start, trimmed))
            offset += len(line) + 1
        padding = len(unfinished) - len(unfinished.lstrip(SEPARATORS))
        self._release(offset + padding - self._start)

    def _extend(self, chunk: bytes) -> Iterator[Range]:
        """Continue the unfinished line with ``chunk``, and go on with what follows the line."""
        newline = chunk.find(b"\n")
        self._append(chunk if newline < 0 else chunk[:newline])
        following = b"" if newline < 0 else chunk[newline:]
        if len(self._block) > self._max_line_bytes:
            following = yield from self._overlong(following)
        elif following:
            yield from self._whole_line()
        if following:
            yield from self._lines(following)

    def _append(self, data: bytes) -> None:
        if len(self._block) >= RECOVERY_BYTES and isinstance(self._block, bytes):
            self._block = bytearray(self._block)
        self._block += data

    def _whole_line(self) -> Iterator[Range]:
        """Yield the ranges of the line that the block is; it begins with no separator."""
        line = _without_padding(self._block)
        envelope = read_entry(line)
        if envelope is not None:
            yield from self._placed(iter([Range(self._start, line, envelope, None)]))
        else:
            yield from self._placed(judge(self._start, line))
        self._release(len(self._block))

    def _overlong(self, following: bytes) -> Generator[Range, None, bytes]:
        """Quarantine a line that is too long, to its end; return what follows it.

        At the end of the file the line counts as ended: more of it cannot make it shorter.
        """
        ended = bool(following)
        while True:
            while len(self._block) >= PIECE_BYTES or (ended and self._block):
                with memoryview(self._block) as view:
                    piece = bytes(view[:PIECE_BYTES])
                yield from self._placed(iter([Range(self._start, piece, None, TOO_LONG)]))
                self._release(len(piece))
            if ended:
                return following
            chunk = self._read()
            newline = chunk.find(b"\n")
            following = b"" if newline < 0 else chunk[newline:]
            ended = not chunk or bool(following)
            self._append(chunk[: len(chunk) - len(following)])

    def _tail(self) -> Iterator[Range]:
        """Yield the entries of the last line, which has no newline, as far as they are whole."""
        line = _without_padding(self._block)
        envelope = read_entry(line) if line.endswith(b"}") else None
        if envelope is not None:
            yield from self._placed(iter([Range(self._start, line, envelope, None)]))
        elif len(line) <= RECOVERY_BYTES:
            yield from self._placed(leading_entries(self._start, line))
        rest = self._block[self.position - self._start :]
        self.position += len(rest) - len(rest.lstrip(SEPARATORS))

    def _placed(self, ranges: Iterator[Range]) -> Iterator[Range]:
        """Yield ``ranges`` and move the position behind each."""
        for found in ranges:
            self.position = found.end
            yield found

    def _release(self, count: int) -> None:
        """Forget the first ``count`` bytes of the block, which are judged, but for the edges."""
        self._head, self._before = self._edges(count)
        if isinstance(self._block, bytearray) and count < len(self._block):
            del self._block[:count]
        else:  # a new object: the old one may have been yielded
            self._block = bytes(self._block[count:])
        self._start += count
        self.position = self._start

    def _edges(self, count: int) -> tuple[bytes, bytes]:
        """Return the first and last bytes of all that was read up to ``count`` of the block."""
        head, before = self._head, self._before
        if len(head) < FINGERPRINT_BYTES:
            head += bytes(self._block[: min(count, FINGERPRINT_BYTES - len(head))])
        recent = bytes(self._block[max(0, count - FINGERPRINT_BYTES) : count])
        return head, (before + recent)[-FINGERPRINT_BYTES:]


def _without_padding(line: Bytes) -> Bytes:
    """Return ``line`` without separators at its end; the same object where there are none."""
    if not line or line[-1] not in SEPARATORS:
        return line
    return line.rstrip(SEPARATORS)
