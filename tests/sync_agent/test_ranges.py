"""What the lines of a file are judged to be."""

from __future__ import annotations

import time

import pytest

from sync_agent.reading.ranges import MAX_DEPTH
from sync_agent.reading.reader import Reader

MIB = 1024 * 1024
Found = list[tuple[bytes, str | None]]


def judged(data: bytes, *, max_line_bytes: int = 64 * MIB) -> Found:
    """Return bytes and reason (None for an entry) of every range of ``data``."""
    reader = Reader(
        lambda length, offset: data[offset : offset + length],
        position=0,
        limit=len(data),
        max_line_bytes=max_line_bytes,
    )
    return [(bytes(found.raw), found.reason) for found in reader]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1}\r',
        b"\0\0\0" + b'{"a":1}',
        b'{"a":1}' + b"\0" * 70_000,
        b' \t{"a":1}\t ',
    ],
)
def test_separators_around_a_line_belong_to_no_entry(line: bytes) -> None:
    """R-10 Carriage returns, NUL padding and white space around a line are separators."""
    assert judged(line + b"\n") == [(b'{"a":1}', None)]


def test_a_byte_order_mark_is_a_separator_at_the_start_only() -> None:
    """R-10 A byte order mark that begins the file is a separator, anywhere else it is damage."""
    mark = b"\xef\xbb\xbf"
    assert judged(mark + b'{"a":1}\n') == [(b'{"a":1}', None)]
    assert judged(b'\n{"a":1}\n' + mark + b'{"b":2}\n') == [
        (b'{"a":1}', None),
        (mark, "not_json"),
        (b'{"b":2}', None),
    ]


def test_blank_lines_are_nothing() -> None:
    """R-10 Empty lines hold neither entries nor damage."""
    assert judged(b"\n\r\n  \n\0\n") == []


@pytest.mark.parametrize(
    "entry",
    [
        b'{"a": [1, 2.5e-3, null, true], "a": {}}',
        b'{"n":' + b"9" * 400 + b"}",
        b'{"n":-' + b"1" * 5000 + b',"x":"\\udc00"}',
        b'{"n":1e999}',
        b'{"x":"\\ud800"}',
        b'{"type":"\\ud800","x":[1]}',
        b'{"type":5,"uuid":null,"cwd":["/"]}',
        '{"x":"é😀"}'.encode(),
        b'{"x":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
    ],
)
def test_odd_but_valid_objects_are_entries(entry: bytes) -> None:
    """R-12 Long integers, lone surrogates, repeated keys and odd types are kept byte by byte."""
    assert judged(entry + b"\n") == [(entry, None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":NaN}', "not_json"),
        (b'{"a":01}', "not_json"),
        (b"{'a':1}", "not_json"),
        (b'{"a":"\t"}', "not_json"),
        (b'{"a":1}}', "not_json"),
        (b'{"a":"cut off', "not_json"),
        ('{"a":1}'.encode("utf-16-le"), "not_json"),
        (b"42", "not_an_object"),
        (b'[{"a":1}]', "not_an_object"),
        (b'"\\ud800"', "not_an_object"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "invalid_utf8"),
        (b"\xff\xfe\xfd", "invalid_utf8"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep"),
        (b'{"a":' * 401 + b"1" + b"}" * 401, "too_deep"),
    ],
)
def test_what_is_no_entry_is_quarantined_with_its_reason(line: bytes, reason: str) -> None:
    """R-16 Each line that is not an object is kept, with the reason why it is none."""
    found = judged(line + b"\n")
    assert found[-1][1] == reason
    assert b"".join(raw for raw, _ in found) == line.strip(b"\0")


def test_spliced_objects_are_all_entries() -> None:
    """R-13 Two whole objects on one line are two entries."""
    assert judged(b'{"a":"}{"}{"b":2} {"c":3}\n') == [
        (b'{"a":"}{"}', None),
        (b'{"b":2}', None),
        (b'{"c":3}', None),
    ]


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b'{"type":"user","message":{"content":"cut', b'{"type":"user","x":{"y":[{}]}}'),
        (b'{"type":"user","message":', b'{"b":2}'),
        (b"}}}]", b'{"b":"\\\\"}'),
        (b'{"x":"\\', b'{"b":"\\"}{"}'),
        (b'{"a":NaN}', b'{"b":2}'),
    ],
)
def test_after_damage_the_object_that_ends_the_line_is_taken(head: bytes, tail: bytes) -> None:
    """R-14 A torn head is quarantined and the whole object after it is an entry."""
    assert judged(head + tail + b"\n") == [(head, "not_json"), (tail, None)]


def test_nothing_is_taken_from_the_middle_of_damage() -> None:
    """R-14 An object in the middle of a damaged line is not taken: it may be part of another."""
    line = b'x{"a":1}y'
    assert judged(line + b"\n") == [(line, "not_json")]
    assert judged(b'x{"a":1}{"b":2}\n') == [(b'x{"a":1}', "not_json"), (b'{"b":2}', None)]


def test_an_object_in_another_encoding_costs_only_itself() -> None:
    """R-15 On a spliced line only the object that is not UTF-8 is quarantined."""
    assert judged(b'{"a":1}{"b":"\xe9"}{"c":3}\n') == [
        (b'{"a":1}', None),
        (b'{"b":"\xe9"}', "invalid_utf8"),
        (b'{"c":3}', None),
    ]
    assert judged(b'cut{"b":"\xe9"}\n') == [
        (b"cut", "not_json"),
        (b'{"b":"\xe9"}', "invalid_utf8"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"{" * (4 * MIB),
        b'{"a":' * (MIB // 2),
        b"x" + b"{}" * MIB,
        b'{"a":[' + b"[]," * MIB,
        b"x" + b'"' * (2 * MIB) + b"}",
        b'{"a":"\\ud800","b":[' + b"[]," * MIB + b"[]]}",
    ],
    ids=["braces", "nested", "pairs", "lists", "quotes", "surrogate"],
)
def test_hostile_lines_take_linear_time(line: bytes) -> None:
    """R-17 A line of megabytes made of brackets or quotes is judged in seconds, and kept."""
    begin = time.process_time()
    found = judged(line + b"\n")
    assert b"".join(raw for raw, _ in found) == line
    assert time.process_time() - begin < 20


def test_a_refused_line_above_8_mib_is_kept_in_pieces() -> None:
    """R-18 A long line that is not an entry is quarantined whole, in pieces of 8 MiB."""
    line = b'{"a":"' + b"x" * (17 * MIB) + b'{"b":2}'
    found = judged(line + b'\n{"c":3}\n')
    assert [len(raw) for raw, _ in found] == [8 * MIB, 8 * MIB, MIB + 13, 7]
    assert [reason for _, reason in found] == ["not_json"] * 3 + [None]
    assert b"".join(raw for raw, _ in found[:3]) == line


def test_a_long_entry_is_an_entry() -> None:
    """R-12 A valid object of 20 MiB in one line is one entry."""
    line = b'{"type":"user","x":"' + b"x\xc3\xa9" * (7 * MIB) + b'"}'
    assert judged(line + b"\r\n") == [(line, None)]
    assert judged(line) == [(line, None)]


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_line_above_the_limit_is_quarantined_in_pieces(ending: bytes) -> None:
    """R-19 A line longer than MAX_LINE_BYTES is quarantined, and the next line is read."""
    line = b'{"a":"' + b"x" * (20 * MIB) + b'"}'
    found = judged(line + ending, max_line_bytes=10 * MIB)
    assert [len(raw) for raw, _ in found] == [8 * MIB, 8 * MIB, 4 * MIB + 8]
    assert {reason for _, reason in found} == {"too_long"}
    if ending:
        following = judged(line + ending + b'{"b":2}\n', max_line_bytes=10 * MIB)
        assert following == [*found, (b'{"b":2}', None)]


def test_padding_never_makes_a_line_too_long() -> None:
    """R-19 Megabytes of NUL before an entry are separators, whatever the limit."""
    assert judged(bytes(5 * MIB) + b'{"a":1}\n', max_line_bytes=MIB) == [(b'{"a":1}', None)]


@pytest.mark.parametrize(
    ("tail", "taken"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\0\0', [b'{"a":1}']),
        (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}{"b":', [b'{"a":1}']),
        (b'{"a":', []),
        (b"42", []),
        (b'x{"a":1}', []),
        (b'{"a":"\xff"}', []),
    ],
)
def test_a_last_line_gives_its_whole_objects(tail: bytes, taken: list[bytes]) -> None:
    """R-22 Without a newline the leading whole objects are taken, and nothing is judged damage."""
    assert judged(tail) == [(raw, None) for raw in taken]
