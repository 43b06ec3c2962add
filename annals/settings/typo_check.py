"""Names in the settings file that are not a setting and look like one that was meant."""

from __future__ import annotations

import os
from pathlib import Path

from annals.settings.dotenv import last_assignments, settings_lines
from annals.settings.files import settings_file
from annals.settings.model import Settings

_ALIKE = 0.85
"""Of 1: a letter swapped, lost or doubled stays above it, another program's name mostly below."""


def find_typos(path: Path | None = None) -> list[str]:
    """Return for each such line of the settings file (or ``path``) where it is, what was meant.

    ``.env`` is shared with other programs, so other names are none of our business; nor is one
    that is close to a setting which is set as well, for then nobody meant that.
    """
    lines = last_assignments(path) if path else settings_lines(settings_file())
    if lines.keys() <= Settings.model_fields.keys():
        return []
    import difflib  # noqa: PLC0415 -- for files with further names alone

    from annals.settings.stack import StackSettings  # noqa: PLC0415 -- as above

    known = {*StackSettings.model_fields, *Settings.model_fields}
    taken = {*lines, *(name.lower() for name, value in os.environ.items() if value)}
    found = []
    for name in sorted(lines.keys() - known, key=lambda each: lines[each].line):
        for meant in difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE):
            if meant not in taken:
                one = lines[name]
                says = f"there is no setting {one.name}; did you mean {meant.upper()}?"
                found.append(f"{one.place}: {says}")
    return found
