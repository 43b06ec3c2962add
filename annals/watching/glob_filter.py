"""Which of many patterns a text may match, in one pass: every pattern is followed at once.

Each pattern has a bit for each piece of it, all in one number (shift-and). A character takes four
operations on that number, so the work is the length of the text times that of all patterns, a word
of bits at a time, whatever patterns and names look like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

STAR = None
"""The piece of a pattern that any text matches."""

Shape = tuple[str | None, ...]
"""A pattern as pieces: a character, an empty text for any one character, or a star."""


class GlobFilter:
    """Finds the patterns that a text may match.

    A star and the empty piece take every character here, so that what is found has to be compared;
    what is not found does not match.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        size = sum(1 + sum(piece is not STAR for piece in shape) for shape in shapes)
        self._starts, self._loops = _Bits(size), _Bits(size)
        self._any, self._ends = _Bits(size), _Bits(size)
        self._pattern_at: dict[int, int] = {}
        letters: dict[str, _Bits] = {}
        bit = 0
        for number, shape in enumerate(shapes):
            self._starts.set(bit)
            for piece in shape:
                if piece is STAR:
                    self._loops.set(bit)
                    continue
                bit += 1
                (letters.setdefault(piece, _Bits(size)) if piece else self._any).set(bit)
            self._ends.set(bit)
            self._pattern_at[bit] = number
            bit += 1
        self._masks = self._starts.number, self._loops.number, self._ends.number
        self._other = self._any.number
        self._letters = {sign: bits.number | self._other for sign, bits in letters.items()}

    def find(self, text: str) -> Iterator[int]:
        """Yield the numbers of the patterns that ``text`` may match, the highest first."""
        state, loops, ends = self._masks
        for sign in text:
            state = (state << 1) & self._letters.get(sign, self._other) | state & loops
        found = state & ends
        while found:
            bit = found.bit_length() - 1
            yield self._pattern_at[bit]
            found ^= 1 << bit


class _Bits:
    """A number that is made bit by bit."""

    def __init__(self, size: int) -> None:
        self._bytes = bytearray(size // 8 + 1)

    def set(self, bit: int) -> None:
        self._bytes[bit >> 3] |= 1 << (bit & 7)

    @property
    def number(self) -> int:
        return int.from_bytes(self._bytes, "little")
