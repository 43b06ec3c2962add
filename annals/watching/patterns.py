"""Patterns as in ``.gitignore``, as regular expressions whose work is bounded.

Users write the patterns and others choose the names, so their lengths alone may decide how long a
match takes. Each ``*`` takes the first place where the text after it fits: where the rest fits at
all, it fits from there too. Atomic groups keep ``re`` from trying other places afterwards.
The same is true of ``**`` and the folders that follow it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import NamedTuple

from annals.watching.glob_filter import STAR, Shape

_STAR, _SLASH = "*", "/"
_ANY, _NEVER, _REST = "[^/]", "(?!)", ".+"
_FOLDERS = "(?:[^/]++/)*?"
_NAME_END = r"(?=/|\Z)"

_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, (*range(32), 127))),
    "digit": string.digits,
    "graph": "".join(map(chr, range(33, 127))),
    "lower": string.ascii_lowercase,
    "print": "".join(map(chr, range(32, 127))),
    "punct": string.punctuation,
    "space": " \t\n\v\f\r",
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


class Rule(NamedTuple):
    """One pattern.

    ``is_path`` says that it is compared with the whole path below the root, not with the name.
    ``head`` and ``tail`` are what every text that matches begins and ends with. ``is_literal`` says
    that only ``head`` itself matches. ``shape`` matches at least what the pattern does.
    """

    ignores: bool
    only_folders: bool
    is_path: bool
    expression: str
    head: str
    tail: str
    is_literal: bool
    shape: Shape

    def compile(self) -> re.Pattern[str]:
        """Return the expression, compiled; ``match`` of it compares the whole text."""
        return re.compile(rf"(?:{self.expression})\Z", re.DOTALL)


class _Token(NamedTuple):
    """A piece of a pattern: ``literal`` is the one character it matches, empty for others."""

    expression: str
    literal: str = ""


class _UselessError(Exception):
    """The pattern matches nothing: a bracket is not closed, or a backslash ends it."""


def parse_rule(pattern: str) -> Rule | None:
    """Return the rule of one pattern; None for a comment and for one that matches nothing.

    Raises ValueError for an exclamation mark alone.
    """
    ignores = not pattern.startswith("!")
    body = pattern if ignores else pattern[1:]
    if not body:
        raise ValueError(f"no pattern after the exclamation mark in {pattern!r}")
    only_folders = body.endswith("/")
    body = body.removesuffix("/")
    is_path = "/" in body
    try:
        tokens = list(_tokens(body.removeprefix("/")))
    except _UselessError:
        return None
    if not tokens or pattern.startswith("#"):
        return None
    names = list(_names(tokens))
    if [] in names:  # two slashes in a row, as no path has them
        return None
    is_literal = all(token.literal for token in tokens)
    return Rule(
        ignores,
        only_folders,
        is_path,
        expression=_path_expression(names) if is_path else _name_expression(names[0]),
        head="".join(token.literal for token in tokens) if is_literal else _literal(tokens),
        tail=_literal(tokens[::-1])[::-1],
        is_literal=is_literal,
        shape=tuple(_shape(tokens)),
    )


def _shape(tokens: list[_Token]) -> Iterator[str | None]:
    """Yield the pieces of a pattern; ``**`` may leave out the slashes on either side of it."""
    for place, token in enumerate(tokens):
        beside = tokens[max(0, place - 1) : place + 2]
        is_left_out = token.literal == _SLASH and any(one.expression == _STAR for one in beside)
        yield STAR if token.expression == _STAR or is_left_out else token.literal


def _tokens(body: str) -> Iterator[_Token]:
    place = 0
    while place < len(body):
        sign = body[place]
        if sign == "[":
            token, place = _Bracket(body, place + 1).read()
            yield token
            continue
        if sign in "*?":
            yield _Token(_STAR if sign == "*" else _ANY)
            place += 1
            continue
        sign, place = _unescaped(body, place)
        yield _Token(re.escape(sign), sign)


def _unescaped(body: str, place: int) -> tuple[str, int]:
    """Return the character at ``place`` that counts, and the place after it."""
    place += body[place : place + 1] == "\\"
    if place >= len(body):
        raise _UselessError
    return body[place], place + 1


class _Bracket:
    """Reads a bracket expression from behind its ``[``, by the rules of git's wildmatch."""

    def __init__(self, body: str, place: int) -> None:
        self._body = body
        self._is_negated = body[place : place + 1] in ("!", "^")
        self._place = place + self._is_negated
        self._members = ""
        self._before = ""

    def read(self) -> tuple[_Token, int]:
        """Return what the expression matches, and the place after its ``]``."""
        self._take()
        while not self._body.startswith("]", self._place):
            self._take()
        end = self._place + 1
        if not self._members:
            return _Token(_ANY if self._is_negated else _NEVER), end
        return _Token(f"(?!/)[{'^' * self._is_negated}{self._members}]"), end

    def _take(self) -> None:
        """Take a character, a range or a class of characters."""
        body, place = self._body, self._place
        is_range = self._before and body.startswith("-", place)
        if is_range and body[place + 1 : place + 2] not in ("", "]"):
            end, self._place = _unescaped(body, place + 1)
            if self._before <= end:
                self._members += f"{re.escape(self._before)}-{re.escape(end)}"
            self._before = ""
        elif body.startswith("[:", place) and self._is_class():
            return
        else:
            self._before, self._place = _unescaped(body, place)
            self._members += re.escape(self._before)

    def _is_class(self) -> bool:
        """Take ``[:name:]`` if it is there; without its end the bracket is a character."""
        start = self._place + 2
        end = self._body.find("]", start)
        if end < 0:
            raise _UselessError
        name = self._body[start:end]
        if not name.endswith(":"):
            return False
        if name[:-1] not in _CLASSES:
            raise _UselessError
        self._members += re.escape(_CLASSES[name[:-1]])
        self._before, self._place = "", end + 1
        return True


def _names(tokens: list[_Token]) -> Iterator[list[str]]:
    """Yield the expressions of each part between slashes."""
    name: list[str] = []
    for token in tokens:
        if token.literal == _SLASH:
            yield name
            name = []
        else:
            name.append(token.expression)
    yield name


def _name_expression(name: list[str]) -> str:
    """Return the expression of one name: what stands before, between and after its stars."""
    chunks = [""]
    for expression in name:
        if expression == _STAR:
            chunks.append("")
        else:
            chunks[-1] += expression
    first, *middle = chunks
    if not middle:
        return first
    last = middle.pop()
    found = "".join(f"(?>[^/]*?{chunk})" for chunk in middle if chunk)
    return f"{first}{found}(?>[^/]*{last}{_NAME_END})"


def _path_expression(names: list[list[str]]) -> str:
    """Return the expression of a path: blocks of names, and any folders at each ``**``."""
    blocks: list[list[str]] = [[]]
    for name in names:
        if len(name) > 1 and set(name) == {_STAR}:
            blocks.append([])
        else:
            blocks[-1].append(_name_expression(name))
    first, *others = ["/".join(block) for block in blocks]
    if not others:
        return first
    last = others.pop()
    begins = f"{first}/" if blocks[0] else ""
    found = "".join(f"(?>{_FOLDERS}{block}/)" for block in others if block)
    return begins + found + (rf"(?>{_FOLDERS}{last}\Z)" if last else _REST)


def _literal(tokens: list[_Token]) -> str:
    """Return the literal text that the tokens begin with; no slash, which ``**`` may leave out."""
    text = ""
    for token in tokens:
        if not token.literal or token.literal == _SLASH:
            break
        text += token.literal
    return text
