"""Text of others, made safe: no character of it does anything but be shown."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from annals.text import json_text, markdown, one_line

ANY = st.text(st.characters(codec=None, exclude_categories=[]))
HARMLESS = {"L", "M", "N", "P", "S"}


@given(ANY)
def test_a_line_stays_one_line_of_visible_characters(text: str) -> None:
    """Controls, C1, bidi and zero-width characters, surrogates: none of them is left."""
    line = one_line(text)
    assert len(line) == len(text)
    assert all(c == " " or unicodedata.category(c)[0] in HARMLESS for c in line)
    assert one_line(line) == line
    line.encode()


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])))
def test_visible_ascii_is_left_as_it_is(text: str) -> None:
    """What can do no harm on a terminal is not changed."""
    assert one_line(text) == text


@given(ANY)
def test_markdown_shows_text_and_no_markup(text: str) -> None:
    """No tag, link, image, table cell or line of its own comes out of a name."""
    shown = markdown(text)
    assert not {"<", ">", "\n"} & set(shown)
    for place, character in enumerate(shown):
        if character in "`*_[]()#!|~{}":
            assert shown[place - 1] == "\\"


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner)))
def test_json_is_printable_ascii_that_says_the_same(value: object) -> None:
    """Escaped JSON reaches a terminal raw, so DEL is escaped too."""
    text = json_text(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value
