"""Laying ranges over a file: every byte is in exactly one thing, or is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.records.identity import entry_id, readable
from annals.records.verification import has_id
from flows.validation.coverage import Coverage, File, Placed, ReadAt, compute_coverage

KEY = "session.jsonl"
HERE = ("agent", "/p/session.jsonl", 0)


def _reader(data: bytes) -> ReadAt:
    return lambda length, offset: data[offset : offset + length]


def _placed(offset: int, raw: bytes, kind: str = "entry", source: object = HERE) -> Placed:
    ident = entry_id(KEY.encode(), offset, raw).hex()
    return Placed(offset, len(raw), ident, kind, source)  # type: ignore[arg-type]


def _file(data: bytes, *, judged: int | None = None, is_settled: bool = True) -> File:
    judged = len(data) if judged is None else judged
    return File(HERE[1], KEY, len(data), judged, is_settled=is_settled)


PIECES = st.lists(
    st.tuples(
        st.sampled_from(["entry", "quarantine", "separator"]),
        st.binary(min_size=1, max_size=12),
    ),
    max_size=12,
)


def _build(pieces: list[tuple[str, bytes]]) -> tuple[bytes, list[Placed], dict[str, int]]:
    """Return a file made of the pieces, the ranges of it, and the bytes of each kind."""
    data, ranges = b"", []
    sums = {"entry": 0, "quarantine": 0, "separator": 0}
    for kind, content in pieces:
        raw = b"\n" * len(content) if kind == "separator" else b"x" + content
        if kind != "separator":
            ranges.append(_placed(len(data), raw, kind))
        sums[kind] += len(raw)
        data += raw
    return data, ranges, sums


@given(pieces=PIECES, pending=st.binary(max_size=8).map(lambda tail: b"{" + tail if tail else b""))
def test_every_byte_is_counted_where_it_is(pieces: list[tuple[str, bytes]], pending: bytes) -> None:
    """Whatever a file is made of, each byte is counted as what it is, and nothing is a fault."""
    data, ranges, sums = _build(pieces)
    whole = data + pending
    found = compute_coverage(_file(whole, judged=len(data)), ranges, _reader(whole))
    assert found.faults == []
    assert found.entry_bytes == sums["entry"]
    assert found.quarantined_bytes == sums["quarantine"]
    assert found.separator_bytes == sums["separator"]
    assert found.pending_bytes == len(pending)
    assert found.uncovered_bytes == 0


@given(
    pieces=PIECES.filter(lambda pieces: any(kind != "separator" for kind, _ in pieces)),
    data=st.data(),
)
def test_a_range_that_is_missing_is_found(
    pieces: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """Without one of its ranges, exactly the bytes of that range are named, but separators."""
    content, ranges, _ = _build(pieces)
    lost = data.draw(st.sampled_from(ranges))
    found = compute_coverage(
        _file(content), [one for one in ranges if one != lost], _reader(content)
    )
    raw = content[lost.byte_offset : lost.end]
    assert found.uncovered_bytes == len(raw.translate(None, b" \t\r\n\0"))
    assert len(found.faults) == 1


@given(pieces=PIECES, place=st.integers(0, 200), flipped=st.integers(1, 255))
def test_a_changed_byte_is_found(pieces: list[tuple[str, bytes]], place: int, flipped: int) -> None:
    """One changed byte inside a range of a settled file makes the range nowhere to be found."""
    data, ranges, _ = _build(pieces)
    inside = [one for one in ranges if one.byte_offset <= place < one.end]
    if not inside:
        return
    changed = bytearray(data)
    changed[place] ^= flipped
    found = compute_coverage(_file(data), ranges, _reader(bytes(changed)))
    assert found.entries + found.quarantined == len(ranges) - 1


def test_a_byte_order_mark_is_a_separator_at_the_start_only() -> None:
    """The mark counts as a separator at offset 0 and is named anywhere else."""
    data = b"\xef\xbb\xbf{}\n"
    found = compute_coverage(_file(data), [_placed(3, b"{}")], _reader(data))
    assert (found.separator_bytes, found.faults) == (4, [])
    data = b"{}\xef\xbb\xbf\n"
    found = compute_coverage(_file(data), [_placed(0, b"{}")], _reader(data))
    assert found.uncovered_bytes == 3


def test_ranges_that_overlap_are_found() -> None:
    """Two ranges of one reading that share bytes are named, although both are in the file."""
    data = b'{"a":1}{"b":2}'
    ranges = [_placed(0, data[:7]), _placed(5, data[5:14])]
    found = compute_coverage(_file(data, judged=7), ranges, _reader(data))
    assert any("covered twice" in fault for fault in found.faults)


def test_other_generations_and_copies_do_not_count_twice() -> None:
    """Ranges of an older generation, of another path or another agent leave one cover."""
    data = b'{"a":1}\n{"b":2}\n'
    older = ("agent", HERE[1], 0)
    newer = ("agent", HERE[1], 1)
    elsewhere = ("other", "/q/session.jsonl", 0)
    ranges = [
        _placed(0, b'{"a":1}', source=older),
        _placed(0, b'{"a":1}', source=newer),
        _placed(0, b'{"a"', "quarantine", source=elsewhere),
        _placed(4, b"gone, ", source=older),
        _placed(8, b'{"b":2}', source=newer),
    ]
    found = compute_coverage(_file(data), ranges, _reader(data))
    assert found.faults == []
    assert (found.entries, found.quarantined, found.entry_bytes) == (2, 0, 14)


def test_what_changed_since_the_sync_is_pending() -> None:
    """Of a file that is no longer as it was read, what is nowhere waits for the next sync."""
    data = b'{"a":1}\nsomething else\n'
    file = _file(data, is_settled=False)
    found = compute_coverage(file, [_placed(0, b'{"a":1}')], _reader(data))
    assert found.faults == []
    assert found.pending_bytes == len(b"somethingelse")
    assert found.entry_bytes + found.separator_bytes + found.pending_bytes == len(data)


def test_sums_add_up() -> None:
    """Adding coverages adds every figure and joins the faults."""
    one = Coverage(1, 10, 2, 3, 4, 5, 1, 0, 0, ["a"])
    total = Coverage()
    total.add(one)
    total.add(replace(one, faults=["b"]))
    assert total == Coverage(2, 20, 4, 6, 8, 10, 2, 0, 0, ["a", "b"])


@pytest.mark.parametrize("name", ["ä.jsonl", "a\udcffb.jsonl", "a\\x41.jsonl", "plain.jsonl"])
def test_ids_of_files_with_odd_names_are_found(name: str) -> None:
    """A key that is not UTF-8 in the file system is escaped in the lake and still hashes."""
    raw = name.encode("utf-8", "surrogateescape")
    ident = entry_id(raw, 0, b"{}").hex()
    assert has_id(readable(name), 0, b"{}", ident)
    assert not has_id(readable(name), 1, b"{}", ident)
