"""Synthetic prose, code and command output: neutral, and as hard to compress as the real thing.

A library is written once for a seed; a text is a slice of it at a line's start, so that a
hundred thousand texts cost little more than their copying.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from examples.generator.dice import Dice
from examples.generator.words import (
    ADJECTIVES,
    CODE_LINES,
    CONNECTORS,
    NOUNS,
    OUTPUT_LINES,
    SENTENCES,
    VERBS,
)

_SYMBOLS = ("→", "✓", "—", "…", "é", "✗", "🌊", "日本")
_REPETITION = 8
"""Commands repeat themselves more than people do: so many times smaller is their pool."""
_SUFFIXES = ("py", "ts", "go", "md", "rs", "sql", "tsx", "yaml")


class Pool:
    """Lines in one string, from which a text of about any size can be sliced."""

    __slots__ = ("_longest", "_starts", "_text")

    def __init__(self, lines: list[str], longest: int) -> None:
        self._longest = longest
        self._text = "".join(lines)
        self._starts = [0, *accumulate(map(len, lines))]

    def take(self, dice: Dice, size: int) -> str:
        """Return whole lines of together ``size`` characters or little more."""
        size = min(size, self._longest)
        length = len(self._text)
        if size >= length:
            return self._text * (size // length) + self._text[: size % length]
        start = self._starts[dice.below(len(self._starts) - 1)]
        if start + size > length:
            start = 0
        return self._text[start : self._starts[bisect_left(self._starts, start + size)]]


class Library:
    """Every text of one generated tree.

    ``prose`` are sentences, ``code`` source lines, ``output`` what commands print. ``characters``
    is the size of each of the three pools; a text is about ``longest`` characters at most.
    """

    __slots__ = ("_dice", "code", "output", "prose")

    def __init__(self, dice: Dice, characters: int, *, longest: int = 1_000_000) -> None:
        self._dice = dice
        ends = (" ", " ", " ", "\n", "\n\n")
        self.prose = Pool(self._lines(SENTENCES, characters, ends), longest)
        self.code = Pool(self._lines(CODE_LINES, characters * 2 // 3, ("\n",)), longest)
        self.output = Pool(self._lines(OUTPUT_LINES, characters // _REPETITION, ("\n",)), longest)

    def _lines(self, templates: tuple[str, ...], size: int, ends: tuple[str, ...]) -> list[str]:
        lines: list[str] = []
        total = 0
        while total < size:
            line = self._fill(self._dice.pick(templates)) + self._dice.pick(ends)
            lines.append(line)
            total += len(line)
        return lines

    def _fill(self, template: str) -> str:
        dice = self._dice
        pick = dice.pick
        noun, verb, adjective = pick(NOUNS), pick(VERBS), pick(ADJECTIVES)
        other = pick(NOUNS)
        line = template.format(
            noun=noun,
            noun2=other,
            noun3=pick(NOUNS),
            Noun=noun.capitalize(),
            verb=verb,
            verb2=pick(VERBS),
            Verb=verb.capitalize(),
            adj=adjective,
            adj2=pick(ADJECTIVES),
            conn=pick(CONNECTORS),
            name=f"{verb}_{pick(NOUNS)}",
            path=self.path(dice) if "{path}" in template else "",
            Type=pick(NOUNS).title(),
            Type2=adjective.title(),
            Type3=other.title(),
            number=dice.below(1000),
            number2=dice.below(90),
            hex=dice.hexadecimal(8),
            hex2=dice.hexadecimal(32) if "{hex2}" in template else "",
        )
        return f"{line} {pick(_SYMBOLS)}" if dice.chance(0.02) else line

    @staticmethod
    def path(dice: Dice) -> str:
        """Return a relative path of a source file."""
        folders = f"{dice.pick(NOUNS)}/{dice.pick(NOUNS)}"
        return f"{folders}/{dice.pick(ADJECTIVES)}_{dice.pick(NOUNS)}.{dice.pick(_SUFFIXES)}"
