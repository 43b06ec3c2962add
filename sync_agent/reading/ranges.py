"""What one line holds: entries, and ranges that are none, with the reason (docs/specs/reader.md).

Everything here is a pure function of the line's bytes, and linear in their number: where an object
begins or ends is found by matching brackets outside of strings, which leaves exactly one place to
try; whether it is an entry is then decided by the same function for every lane.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from annals.records.envelope import (
    SECOND_LANE_BYTES,
    Envelope,
    NotAnObjectError,
    check_utf8,
    read_envelope,
)

SEPARATORS = b" \t\r\n\0"
"""Bytes between entries that belong to none: JSON white space, and NUL padding after a crash."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""A separator too, at the start of a file."""

MAX_DEPTH = 400
"""Entries nested deeper are quarantined. Real ones reach 12; parsers give up at about 1,000."""

RECOVERY_BYTES = SECOND_LANE_BYTES
"""Above this length a line that is not an entry is quarantined as a whole."""

PIECE_BYTES = 8 * 1024 * 1024
"""Longer ranges are quarantined in pieces of this size."""

INVALID_UTF8 = "invalid_utf8"
NOT_JSON = "not_json"
NOT_AN_OBJECT = "not_an_object"
TOO_DEEP = "too_deep"
TOO_LONG = "too_long"

Bytes = bytes | bytearray


class Range(NamedTuple):
    """A judged range: an entry with its envelope, or quarantined bytes with the reason."""

    offset: int
    raw: Bytes
    envelope: Envelope | None
    reason: str | None

    @property
    def end(self) -> int:
        """The offset right after the range."""
        return self.offset + len(self.raw)


_skip_separators = re.compile(rb"[ \t\r\n\0]*+").match
_forward_tokens = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL).finditer
_backward_tokens = re.compile(rb'"\\*+|[{}\[\]]').finditer
_QUOTE, _OPENING, _CLOSING = ord('"'), frozenset(b"{["), frozenset(b"}]")


def read_entry(raw: Bytes) -> Envelope | None:
    """Return the envelope where ``raw`` is exactly one entry, otherwise None."""
    try:
        envelope = read_envelope(raw)
    except (ValueError, RecursionError):
        return None
    return None if _may_be_deep(raw) and _is_deep(raw) else envelope


def _may_be_deep(raw: Bytes) -> bool:
    """Return whether there are brackets enough; most lines are too short for that."""
    return len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH


def judge(offset: int, line: Bytes) -> Iterator[Range]:
    """Yield the ranges of a complete line that is not exactly one entry.

    ``line`` begins and ends with a byte that is not a separator and stands at ``offset``.
    """
    if len(line) > RECOVERY_BYTES or _is_other_value(line):
        yield from pieces(offset, line, _refusal(line))
        return
    end = 0
    for found in _objects(line):
        end = found.offset + len(found.raw)
        yield found._replace(offset=offset + found.offset)
    start = _skipped(line, end)
    if start < len(line):
        yield from _damage(offset, line, start)


def leading_entries(offset: int, tail: Bytes) -> Iterator[Range]:
    """Yield the entries that an unfinished line begins with; no later byte can change them."""
    for found in _objects(tail):
        if found.envelope is None:
            return
        yield found._replace(offset=offset + found.offset)


def pieces(offset: int, data: Bytes, reason: str) -> Iterator[Range]:
    """Yield ``data`` as quarantined ranges of bounded size."""
    if len(data) <= PIECE_BYTES:
        yield Range(offset, data, None, reason)
        return
    for start in range(0, len(data), PIECE_BYTES):
        yield Range(offset + start, bytes(data[start : start + PIECE_BYTES]), None, reason)


def _objects(line: Bytes) -> Iterator[Range]:
    """Yield the whole objects that ``line`` begins with, one after the other."""
    end: int | None = 0
    while True:
        start = _skipped(line, end or 0)
        end = _object_end(line, start)
        if end is None:
            return
        raw = line[start:end]
        envelope = read_entry(raw)
        if envelope is not None:
            yield Range(start, raw, envelope, None)
        elif _is_json_in_other_encoding(raw):
            yield Range(start, raw, None, INVALID_UTF8)
        else:
            return


def _damage(offset: int, line: Bytes, start: int) -> Iterator[Range]:
    """Yield what is damaged from ``start`` on, and the object that ends the line, if any."""
    resumed = _last_object(line, start)
    ending: Range | None = None
    if resumed is not None:
        raw = line[resumed:]
        envelope = read_entry(raw)
        if envelope is not None:
            ending = Range(offset + resumed, raw, envelope, None)
        elif _is_json_in_other_encoding(raw):
            ending = Range(offset + resumed, raw, None, INVALID_UTF8)
    damaged = (line[start:resumed] if ending else line[start:]).rstrip(SEPARATORS)
    yield Range(offset + start, damaged, None, _refusal(damaged))
    if ending:
        yield ending


def _refusal(raw: Bytes) -> str:
    """Return why ``raw`` is not an entry."""
    try:
        check_utf8(raw)
        read_envelope(raw)
    except UnicodeDecodeError:
        return INVALID_UTF8
    except NotAnObjectError:
        return NOT_AN_OBJECT
    except RecursionError:
        return TOO_DEEP
    except ValueError:
        return NOT_JSON
    return TOO_DEEP


def _is_other_value(raw: Bytes) -> bool:
    """Return whether ``raw`` is a JSON value, but no object."""
    if raw.startswith(b"{"):
        return False
    try:
        read_envelope(raw)
    except NotAnObjectError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _is_json_in_other_encoding(raw: Bytes) -> bool:
    """Return whether ``raw`` would be an entry but for bytes that are not UTF-8."""
    try:
        check_utf8(raw)
    except UnicodeDecodeError:
        return read_entry(str(raw, "latin-1").encode()) is not None
    return False


def _skipped(line: Bytes, start: int) -> int:
    found = _skip_separators(line, start)
    return found.end() if found else start


def _object_end(line: Bytes, start: int) -> int | None:
    """Return where the object that begins at ``start`` would have to end, None where nowhere."""
    if line[start : start + 1] != b"{":
        return None
    depth = 0
    for token in _forward_tokens(line, start):
        byte = line[token.start()]
        if byte in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                return None
        elif byte in _CLOSING:
            depth -= 1
            if depth == 0:
                return token.end()
        elif token.end() - token.start() == 1:
            return None
    return None


def _is_deep(raw: Bytes) -> bool:
    """Return whether brackets outside of strings are nested deeper than allowed."""
    depth = 0
    for token in _forward_tokens(raw):
        byte = raw[token.start()]
        if byte in _OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in _CLOSING:
            depth -= 1
    return False


def _last_object(line: Bytes, after: int) -> int | None:
    """Return where the object that ends the line would have to begin, None where nowhere.

    Seen from the end of an object, its brackets match at one place only, so there is one candidate
    at most. In the reversed line the backslashes before a quote follow it: an even number of them
    leaves it a quote.
    """
    if not line.endswith(b"}"):
        return None
    backward = line[:after:-1]
    depth, in_string = 0, False
    for token in _backward_tokens(backward):
        byte = backward[token.start()]
        if byte == _QUOTE:
            in_string ^= (token.end() - token.start()) % 2 == 1
        elif in_string:
            continue
        elif byte in _CLOSING:
            depth += 1
            if depth > MAX_DEPTH:
                return None
        else:
            depth -= 1
            if depth == 0:
                return len(line) - token.end() if byte == ord("{") else None
    return None
