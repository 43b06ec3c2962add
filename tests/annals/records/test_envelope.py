"""The envelope: strict JSON, tolerant types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.records.envelope import NotAnObjectError, read_envelope

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
KEYS = ["type", "uuid", "sessionId", "timestamp", "cwd", "isSidechain"]


def test_promoted_fields_are_read() -> None:
    """The envelope takes the whitelisted fields and nothing else."""
    raw = b'{"type":"user","sessionId":"s","isSidechain":true,"parentUuid":null,"x":{"type":"y"}}'
    envelope = read_envelope(raw)
    assert (envelope.type, envelope.session_id, envelope.is_sidechain) == ("user", "s", True)
    assert envelope.parent_uuid is None


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(), JSON))
def test_any_object_has_an_envelope_of_the_right_types(members: dict[str, Any]) -> None:
    """Whatever types the fields have, text fields come out as text or nothing."""
    envelope = read_envelope(json.dumps(members).encode())
    for key, value in (("type", envelope.type), ("sessionId", envelope.session_id)):
        given_value = members.get(key)
        assert value == (given_value if isinstance(given_value, str) else None)
    flag = members.get("isSidechain")
    assert envelope.is_sidechain == (flag if isinstance(flag, bool) else None)


@given(st.text(st.sampled_from('{}[]",:\\u0129aeE+-. \n\tdDnulltrefs') | st.characters()))
def test_accepts_exactly_what_strict_json_accepts(text: str) -> None:
    """The two lanes together take an object exactly where the strict standard library does."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        expected = isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        expected = False
    try:
        read_envelope(text.encode("utf-8", "surrogatepass"))
        accepted = True
    except ValueError:
        accepted = False
    assert accepted == expected


def test_lone_surrogates_are_replaced_in_promoted_fields() -> None:
    """A poison string neither stops the entry nor reaches a store that cannot hold it."""
    assert read_envelope(b'{"cwd":"a\\ud800b"}').cwd == "a?b"
    assert read_envelope(b'{"type":"user","x":"\\ud800"}').type == "user"


@pytest.mark.parametrize("raw", [b"null", b"[1]", b'"x"', b"12"])
def test_a_value_that_is_no_object_says_so(raw: bytes) -> None:
    """Valid JSON that is not an object is told apart from damage."""
    with pytest.raises(NotAnObjectError):
        read_envelope(raw)


@pytest.mark.parametrize(
    "raw", [b'{"a":"\xff"}', b'{"a":NaN}', b'{"a":1', b'{"a":1}{"b":2}', b'{"a":-Infinity}', b""]
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    """Invalid UTF-8, NaN, torn and spliced values are not an entry."""
    with pytest.raises(ValueError, match=r".*"):
        read_envelope(raw)


def test_integers_of_400_digits_and_5000_levels() -> None:
    """Long integers are kept; nesting beyond what a parser can follow is refused as such."""
    assert read_envelope(b'{"type":"t","n":' + b"9" * 400 + b"}").type == "t"
    with pytest.raises(RecursionError):
        read_envelope(b'{"n":' + b"[" * 5000 + b"]" * 5000 + b"}")
