"""Text of others, made safe: no character of it does anything but be shown."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from annals.errors import SettingsError, WarehouseError
from annals.lake import object_store_fault
from annals.text import json_text, library_words, markdown, one_line
from loaders.warehouse import error_for

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


WORDS = (
    *("No space left on device", "Could not set lock", "Corrupt database file", "AWS Error"),
    *("Out of Memory Error", "AWS Error ACCESS_DENIED", "NoSuchBucket", "(HTTP 403 ", "'", "x"),
)


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), quote=st.sampled_from("\"'`")
)
def test_values_in_a_message_decide_nothing(words: list[str], quote: str) -> None:
    """Whatever a file, a bucket or a value is called, the error is that of the words around it."""
    value = " ".join(words).replace(quote, "")
    place = f"/data/{value}/w.db"
    message = f"Binder Error: {quote}{value}{quote} of {place} is unknown\nLINE 1: select {value}"
    assert library_words(message, place).split() == ["Binder", "Error:", "of", "is", "unknown"]
    assert type(error_for(place, message)) is WarehouseError
    assert object_store_fault(message, place) is None


def test_the_words_around_values_are_kept() -> None:
    """Apostrophes of words are not quotes, and the codes of a store are outside of them."""
    said = "it can't be read; it isn't there: No space left on device"
    assert library_words(said) == said
    store = "When reading key 'x' in bucket 'b': AWS Error NO_SUCH_BUCKET during HeadBucket"
    assert isinstance(object_store_fault(store, "s3://b/x"), SettingsError)
