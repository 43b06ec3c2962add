"""What is left out below a root: patterns as in ``.gitignore`` (docs/specs/reader.md, R-02)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from annals.errors import SettingsError

if TYPE_CHECKING:
    from annals.watching.patterns import Rule

USUAL = ".* *.tmp *.swp"
"""The default of IGNORE_PATTERNS; it is decided by the name alone, without any pattern."""

_LONGEST_KEY = 16
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

    Rules without such a text are tried one by one, and their verdicts are remembered: those of the
    first paths, since every round asks about all of them in the same order.
    """

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._compiled: dict[int, Callable[[str], object]] = {}
        self._names = _Keys()
        self._paths = _Keys()
        self._others: list[int] = []
        self._verdicts: dict[tuple[bytes, bool], bool] = {}
        for number, rule in enumerate(rules):
            keys = self._paths if rule.is_path else self._names
            if not keys.add(number, rule):
                self._others.insert(0, number)

    def ignores(self, below: bytes, is_folder: bool) -> bool:
        """Return what the last rule says that matches."""
        if not self._others:
            return self._judge(os.fsdecode(below), is_folder=is_folder)
        key = (below, is_folder)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._judge(os.fsdecode(below), is_folder=is_folder)
            if len(self._verdicts) < _REMEMBERED:
                self._verdicts[key] = verdict
        return verdict

    def _judge(self, path: str, *, is_folder: bool) -> bool:
        name = path[path.rfind("/") + 1 :]
        keyed = self._names.find(name)
        if self._paths.tables:
            keyed += self._paths.find(path)
        best = -1
        for number in keyed:
            if number > best and self._matches(number, (name, path), is_folder=is_folder):
                best = number
        for number in self._others:
            if number < best:
                break
            if self._rules[number].inner in path and self._matches(
                number, (name, path), is_folder=is_folder
            ):
                best = number
                break
        return best >= 0 and self._rules[best].ignores

    def _matches(self, number: int, texts: tuple[str, str], *, is_folder: bool) -> bool:
        rule = self._rules[number]
        if rule.only_folders and not is_folder:
            return False
        match = self._compiled.get(number)
        if match is None:
            match = self._compiled[number] = rule.compile().match
        return match(texts[rule.is_path]) is not None


class _Keys:
    """Numbers of rules by the part of a text that they require: all of it, its end or its head."""

    def __init__(self) -> None:
        self.tables: dict[tuple[int | None, int | None], dict[str, list[int]]] = {}

    def add(self, number: int, rule: Rule) -> bool:
        """Take the rule; return False if it requires no text."""
        part: tuple[int | None, int | None]
        if rule.is_literal:
            part, key = (None, None), rule.head
        elif rule.tail:
            key = rule.tail[-_LONGEST_KEY:]
            part = (-len(key), None)
        else:
            key = rule.head[:_LONGEST_KEY]
            part = (None, len(key))
        if key:
            self.tables.setdefault(part, {}).setdefault(key, []).append(number)
        return bool(key)

    def find(self, text: str) -> list[int]:
        """Return the rules that ``text`` may match."""
        found: list[int] = []
        for (start, end), table in self.tables.items():
            numbers = table.get(text[start:end])
            if numbers:
                found += numbers
        return found
