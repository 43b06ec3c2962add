"""Text from transcripts, files and servers, made safe for the place that it is shown in.

Everything that Annals shows passes one of these functions at the exit: a terminal or a log line, a
page in Markdown, JSON. After that no character of it can move a cursor, turn the direction of
writing, begin a line of its own or become markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BREAKS = str.maketrans("\n\r\t", "   ")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_DELETE = "\x7f"


def one_line(text: str) -> str:
    """Return ``text`` as one line for a terminal, a log or a label.

    Line breaks and tabs become blanks. Control characters, C1 codes, marks that turn the direction
    of writing, characters without a width and surrogates become question marks.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text.translate(_BREAKS))


def markdown(text: str) -> str:
    """Return ``text`` as one line that Markdown and the HTML in it show as it is."""
    return _MARKUP.sub(r"\\\1", one_line(text)).translate(_ENTITIES)


def json_text(
    value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None
) -> str:
    """Return ``value`` as JSON in printable ASCII alone; ``default`` is that of :mod:`json`."""
    return json.dumps(value, indent=indent, default=default).replace(_DELETE, "\\u007f")
