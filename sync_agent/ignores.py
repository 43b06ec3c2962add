"""What is left out below a root: patterns as in ``.gitignore`` (docs/specs/reader.md, R-02)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from analytics.errors import SettingsError

USUAL = ".* *.tmp *.swp"
"""The default of IGNORE_PATTERNS; it is told from a name alone, without the library."""

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
        return self._match(below + b"/" if is_folder else below)


def _is_usual(below: bytes) -> bool:
    name = below.removesuffix(b"/").rpartition(b"/")[2]
    return name.startswith(b".") or name.endswith((b".tmp", b".swp"))


def _compiled(patterns: str) -> Callable[[bytes], bool]:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 -- only where somebody set patterns
    from pathspec.patterns.gitwildmatch import GitWildMatchPatternError  # noqa: PLC0415

    try:
        spec = GitIgnoreSpec.from_lines(re.split(r"(?<!\\)\s+", patterns.strip()))
    except GitWildMatchPatternError as error:
        raise SettingsError(
            f"IGNORE_PATTERNS cannot be understood: {error}",
            hint="Write patterns as in .gitignore, with spaces between them.",
        ) from error
    verdicts: dict[bytes, bool] = {}

    def match(below: bytes) -> bool:
        verdict = verdicts.get(below)
        if verdict is None:
            if len(verdicts) >= _REMEMBERED:
                verdicts.clear()
            verdict = verdicts[below] = spec.match_file(os.fsdecode(below))
        return verdict

    return match
