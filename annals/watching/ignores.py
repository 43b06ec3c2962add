"""What is left out below a root: patterns as in ``.gitignore`` (docs/specs/reader.md, R-02)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from annals.errors import SettingsError
from annals.watching.glob_filter import GlobFilter

if TYPE_CHECKING:
    from annals.watching.patterns import Rule

USUAL = ".* *.tmp *.swp"
"""The default of IGNORE_PATTERNS; it is decided by the name alone, without any pattern."""

_LONGEST_KEY = 16
_SHARED = 16
"""More rules than these with the same key are searched at once instead."""

_Part = tuple[int | None, int | None]
_WHOLE: _Part = (None, None)
_REMEMBERED = 100_000


class Ignores:
    """Tells what is ignored; only the path below the root is looked at, never the root's own.

    Raises SettingsError for a pattern that means nothing.
    """

    def __init__(self, patterns: str = USUAL) -> None:
        is_usual = patterns.split() == USUAL.split()
        self._match = _is_usual if is_usual else _compiled(patterns)

    def covers(self, below: bytes, *, is_folder: bool = False) -> bool:
        """Return whether ``below``, a path below the root, is ignored.

        What lies in an ignored folder is never asked about.
        """
        return self._match(below, is_folder)


def _is_usual(below: bytes, _is_folder: bool) -> bool:
    name = below.rpartition(b"/")[2]
    return name.startswith(b".") or name.endswith((b".tmp", b".swp"))


def _compiled(patterns: str) -> Callable[[bytes, bool], bool]:
    from annals.watching.patterns import parse_rule  # noqa: PLC0415 -- only where patterns are set

    try:
        rules = [parse_rule(one) for one in re.split(r"(?<!\\)\s+", patterns.strip()) if one]
    except ValueError as error:
        raise SettingsError(
            f"IGNORE_PATTERNS cannot be parsed: {error}",
            hint="Write patterns as in .gitignore, with spaces between them.",
        ) from error
    return _RuleTable([rule for rule in rules if rule is not None]).ignores


class _RuleTable:
    """The rules, found by what a text begins or ends with; the last one that matches decides.

    Rules without such a text, and those that share one with many, are searched at once, and their
    verdicts are remembered: those of the first paths, since every round asks about all of them in
    the same order.
    """

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._compiled: dict[int, Callable[[str], object]] = {}
        self._names, names = _keyed(rules, is_path=False)
        self._paths, paths = _keyed(rules, is_path=True)
        self._filters = [
            (GlobFilter([rules[number].shape for number in numbers]), numbers, is_path)
            for numbers, is_path in ((names, False), (paths, True))
            if numbers
        ]
        self._verdicts: dict[tuple[bytes, bool], bool] = {}

    def ignores(self, below: bytes, is_folder: bool) -> bool:
        """Return what the last rule says that matches."""
        if not self._filters:
            return self._judge(os.fsdecode(below), is_folder=is_folder)
        key = (below, is_folder)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._judge(os.fsdecode(below), is_folder=is_folder)
            if len(self._verdicts) < _REMEMBERED:
                self._verdicts[key] = verdict
        return verdict

    def _judge(self, path: str, *, is_folder: bool) -> bool:
        texts = (path[path.rfind("/") + 1 :], path)
        keyed = self._names.find(texts[False])
        if self._paths.tables:
            keyed += self._paths.find(path)
        best = self._last(keyed, texts, is_folder=is_folder)
        for glob_filter, numbers, is_path in self._filters:
            found = (numbers[place] for place in glob_filter.find(texts[is_path]))
            best = max(best, self._first(found, texts, above=best, is_folder=is_folder))
        return best >= 0 and self._rules[best].ignores

    def _last(self, numbers: list[int], texts: tuple[str, str], *, is_folder: bool) -> int:
        numbers.sort(reverse=True)
        return self._first(numbers, texts, above=-1, is_folder=is_folder)

    def _first(
        self, numbers: Iterable[int], texts: tuple[str, str], *, above: int, is_folder: bool
    ) -> int:
        """Return the first of the falling numbers whose rule matches; -1 if none does."""
        for number in numbers:
            if number < above:
                break
            if self._matches(number, texts, is_folder=is_folder):
                return number
        return -1

    def _matches(self, number: int, texts: tuple[str, str], *, is_folder: bool) -> bool:
        rule = self._rules[number]
        if rule.only_folders and not is_folder:
            return False
        match = self._compiled.get(number)
        if match is None:
            match = self._compiled[number] = rule.compile().match
        return match(texts[rule.is_path]) is not None


def _keyed(rules: list[Rule], *, is_path: bool) -> tuple[_Keys, list[int]]:
    """Return the rules of names or of paths that a key finds, and the numbers of the others."""
    keys = _Keys()
    others = [
        number
        for number, rule in enumerate(rules)
        if rule.is_path is is_path and not keys.add(number, rule)
    ]
    return keys, sorted(others + keys.pop_crowded())


class _Keys:
    """Numbers of rules by the part of a text that they require: all of it, its end or its head."""

    def __init__(self) -> None:
        self.tables: dict[_Part, dict[str, list[int]]] = {}

    def add(self, number: int, rule: Rule) -> bool:
        """Take the rule; return False if it requires no text."""
        if rule.is_literal:
            part, key = _WHOLE, rule.head
        elif rule.tail:
            key = rule.tail[-_LONGEST_KEY:]
            part = (-len(key), None)
        else:
            key = rule.head[:_LONGEST_KEY]
            part = (None, len(key))
        if key:
            self.tables.setdefault(part, {}).setdefault(key, []).append(number)
        return bool(key)

    def pop_crowded(self) -> list[int]:
        """Give back the rules that share their text with so many that it hardly tells them apart.

        Rules that are nothing but this text stay: the last of them decides.
        """
        given: list[int] = []
        for table in (table for part, table in self.tables.items() if part != _WHOLE):
            crowded = [key for key, numbers in table.items() if len(numbers) > _SHARED]
            given += [number for key in crowded for number in table.pop(key)]
        return given

    def find(self, text: str) -> list[int]:
        """Return the rules that ``text`` may match."""
        found: list[int] = []
        for (start, end), table in self.tables.items():
            numbers = table.get(text[start:end])
            if numbers:
                found += numbers
        return found
