"""The lines of ``.env`` files, with their places in them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream

from annals.errors import SettingsError
from annals.settings.files import read_settings_text, shown_path


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``NAME=VALUE`` of a file; ``name`` as it is written, ``line`` counted from 1.

    ``label`` is what people call the file, its name where it is empty.
    """

    name: str
    value: str
    path: Path
    line: int
    label: str = ""

    @property
    def place(self) -> str:
        """Where it stands, as text for people."""
        return f"{self.label or self.path.name} line {self.line}"


def assignments(path: Path, label: str = "") -> Iterator[Assignment]:
    """Yield what the file assigns, in its order; nothing where no file exists or no value.

    Raises SettingsError (exit 3) that names a line which assigns nothing, or what is wrong with
    the file as a whole.
    """
    if os.path.lexists(path):
        yield from _parsed(read_settings_text(path), path, label)


def _parsed(text: str, path: Path, label: str) -> Iterator[Assignment]:
    with io.StringIO(text) as file:
        for binding in parse_stream(file):
            written = binding.original.string
            line = binding.original.line + len(written) - len(written.lstrip("\n"))
            if binding.error or (binding.key and binding.value is None):
                first = (written.split() or [""])[0].partition("=")[0]
                raise SettingsError(
                    f"{label or path.name} line {line}: {first!r} begins nothing of the form"
                    " NAME=VALUE",
                    hint="Correct the line, or begin it with # to leave it out.",
                    path=path,
                    line=line,
                )
            if binding.key and binding.value:
                yield Assignment(binding.key, binding.value, path, line, label)


def last_assignments(path: Path, label: str = "") -> dict[str, Assignment]:
    """Return for each name, in small letters, the assignment that counts: the file's last."""
    return {one.name.lower(): one for one in assignments(path, label)}


def settings_lines(path: Path | None) -> dict[str, Assignment]:
    """Return the same for the settings file, whose whole path is shown; nothing without a file."""
    return last_assignments(path, shown_path(path)) if path else {}


def settings_values(path: Path | None) -> dict[str, str]:
    """Return what the settings file says, ``${NAME}`` in it replaced, by names in small letters."""
    lines = [(one.name, one.value) for one in settings_lines(path).values()]
    found = resolve_variables(lines, override=True)
    return {name.lower(): value for name, value in found.items() if value}
