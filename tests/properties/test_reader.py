"""The reader on hostile bytes: the same ranges however they arrive, every byte in one place."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_agent.buffer.fingerprints import Edges
from sync_agent.reading.ranges import BYTE_ORDER_MARK, SEPARATORS, Range
from sync_agent.reading.reader import Reader
from tests.properties.hostile import contents, tidy_lines

HUGE = 1 << 40


def read(
    data: bytes, *, position: int = 0, limit: int | None = None, chunk: int = 1 << 20
) -> tuple[list[Range], Reader]:
    """Return the ranges of ``data`` from ``position`` up to ``limit``, and their reader."""
    reader = Reader(
        lambda length, offset: data[:limit][offset : offset + length],
        position=position,
        limit=len(data) if limit is None else limit,
        max_line_bytes=HUGE,
        edges=Edges(data[:position][:4096], data[:position][-4096:]),
        chunk_bytes=chunk,
    )
    return list(reader), reader


def plain(ranges: list[Range]) -> list[tuple[int, bytes, bool, str | None]]:
    """Return what identifies the ranges and what they are."""
    return [(item.offset, bytes(item.raw), item.envelope is None, item.reason) for item in ranges]


@settings(max_examples=400, deadline=None)
@given(contents, st.lists(st.floats(0, 1), max_size=6), st.integers(3, 40))
@example(b'{"a":1}garbage{"b":2}\n', [0.35], 3)
@example(b'\xef\xbb\xbf{"a":1}\n', [0.2, 0.3], 3)
@example(b'{"a":1}\0\0\0{"b":2}', [0.5], 3)
@example(b"{}\n\xef\xbb\xbf{}\n", [0.34], 3)
def test_appends_change_nothing(data: bytes, cuts: list[float], chunk: int) -> None:
    """R-20 A file read after each of any sequence of appends yields what one reading yields."""
    whole, last = read(data)
    ends = [*sorted(int(cut * len(data)) for cut in cuts), len(data)]
    pieces: list[Range] = []
    position = 0
    for end in ends:
        found, reader = read(data, position=position, limit=end, chunk=chunk)
        assert reader.position >= position
        position = reader.position
        pieces += found
    assert plain(pieces) == plain(whole)
    assert position == last.position
    assert reader.fingerprint() == last.fingerprint()


@settings(max_examples=400, deadline=None)
@given(contents)
def test_every_byte_is_in_one_place(data: bytes) -> None:
    """R-21 Ranges are the file's own bytes, in order; only separators lie between them."""
    ranges, reader = read(data)
    end = 0
    gaps = b""
    for item in ranges:
        assert item.offset >= end
        assert item.raw == data[item.offset : item.end]
        assert item.raw
        assert (item.envelope is None) == (item.reason is not None)
        gaps += data[end : item.offset]
        end = item.end
    gaps += data[end : reader.position]
    assert not gaps.removeprefix(BYTE_ORDER_MARK).strip(SEPARATORS)
    assert b"\n" not in data[reader.position :]


@settings(max_examples=200, deadline=None)
@given(tidy_lines, st.sampled_from([b"\n", b"\r\n", b"\n\0\0\0", b""]))
def test_whole_objects_are_all_entries(lines: list[bytes], ending: bytes) -> None:
    """R-13 Whole objects are all entries: one to a line, or spliced without any newline."""
    ranges, reader = read(ending.join([*lines, b""]))
    assert [item.raw for item in ranges] == lines
    assert all(item.envelope for item in ranges)
    assert reader.position == len(ending.join([*lines, b""]))


@settings(max_examples=200, deadline=None)
@given(contents.filter(lambda data: b"\n" not in data), tidy_lines)
def test_damage_stays_in_its_line(damage: bytes, lines: list[bytes]) -> None:
    """R-10 Whatever a line holds, the lines after it are read as if it were not there."""
    following = b"".join(line + b"\n" for line in lines)
    ranges, _ = read(damage + b"\n" + following)
    start = len(damage) + 1
    assert [item.raw for item in ranges if item.offset >= start] == lines
