"""Sets of sequence numbers as sorted ranges that do not touch: ``((1, 3), (7, 7))``."""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]
Ranges = tuple[Range, ...]
_RANGES_NAMED = 5


def join_ranges(ranges: Iterable[Range]) -> Ranges:
    """Return the union of ranges; empty ones, whose end lies before their start, are dropped."""
    joined: list[Range] = []
    for first, last in sorted(one for one in ranges if one[0] <= one[1]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Return the ranges of some numbers, which come in ascending order."""
    found: list[Range] = []
    for number in numbers:
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def subtract_ranges(ranges: Iterable[Range], taken: Iterable[Range]) -> Ranges:
    """Return what is in ``ranges`` and in none of ``taken``."""
    rest: list[Range] = []
    removed = join_ranges(taken)
    for first, last in join_ranges(ranges):
        start = first
        for gone_first, gone_last in removed:
            if gone_last < start or gone_first > last:
                continue
            rest.append((start, gone_first - 1))
            start = gone_last + 1
        rest.append((start, last))
    return join_ranges(rest)


def count_ranges(ranges: Iterable[Range]) -> int:
    """Return how many numbers the ranges hold."""
    return sum(last - first + 1 for first, last in ranges)


def show_ranges(ranges: Ranges) -> str:
    """Return the ranges as text, such as ``5-8, 12``; of many the first are named."""
    named = ", ".join(
        f"{first}-{last}" if last > first else str(first) for first, last in ranges[:_RANGES_NAMED]
    )
    more = len(ranges) - _RANGES_NAMED
    return f"{named} and {more} more ranges" if more > 0 else named


def flat_ranges(ranges: Ranges) -> list[int]:
    """Return the ranges as one list for a document: first, last, first, last, ..."""
    return [number for one in ranges for number in one]


def ranges_from(value: object) -> Ranges:
    """Return the ranges in such a list; anything else holds none."""
    numbers = value if isinstance(value, list) else []
    if not all(isinstance(one, int | float) for one in numbers):
        return ()
    whole = [max(0, position_from(one)) for one in numbers]
    return join_ranges(zip(whole[::2], whole[1::2], strict=False))


def position_from(value: object) -> int:
    """Return a position as a document has it; -1 for what is not one, whatever its type."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return -1
    return value if 0 <= value < 2**63 else -1
