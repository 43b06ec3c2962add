"""Hostile transcript bytes for Hypothesis: what crashes, two writers and other programs leave."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from sync_agent.reading.ranges import SEPARATORS

_TEXTS = st.text(alphabet='a{}[]",:\\\n\0 é😀', max_size=6)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_KEYS = _TEXTS | st.sampled_from(["type", "uuid", "sessionId", "isSidechain", "timestamp"])

objects = st.builds(
    lambda value, ascii_: json.dumps(value, ensure_ascii=ascii_).replace("Infinity", "1").encode(),
    st.dictionaries(_KEYS, _VALUES, max_size=3),
    st.booleans(),
)
"""One JSON object in one line."""

_cut = st.builds(lambda raw, share: raw[: int(len(raw) * share)], objects, st.floats(0, 1))
_end = st.builds(lambda raw, share: raw[int(len(raw) * share) :], objects, st.floats(0, 1))
_broken = st.sampled_from(
    [
        b'{"a":"\xff"}',
        b'{"a":"\xc3"}',
        b'{"b":"\\ud800"}',
        b'{"b":"\\udc00\\ud800"}',
        b'{"b":"\\ud83d\\ude00"}',
        b'{"a":NaN}',
        b'{"a":01}',
        b'{"a":"\x01"}',
        b'{"a":' + b"9" * 400 + b"}",
        b'{"a":' * 450 + b"1" + b"}" * 450,
        b'{"a":"\\\\"}',
        b'{"a":"\\',
        b"42",
        b"[1]",
        b'"x"',
        b"}",
        b"{",
        b'"',
        b"\\",
        b"null{}",
        b"\xef\xbb\xbf",
        b"\xef\xbb",
        "{}".encode("utf-16-le"),
    ]
)
_separators = st.lists(st.sampled_from([bytes([byte]) for byte in SEPARATORS]), max_size=4).map(
    b"".join
)

contents = st.lists(
    objects | _cut | _end | _broken | _separators | st.just(b"\n") | st.binary(max_size=6),
    max_size=12,
).map(b"".join)
"""The bytes of a whole file."""

tidy_lines = st.lists(objects, max_size=8)
"""Lines as Claude Code writes them."""
