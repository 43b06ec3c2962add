"""The lines of ``.env`` files, with their places in them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from analytics.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``NAME=VALUE`` of a file; ``name`` as it is written, ``line`` counted from 1."""

    name: str
    value: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where it stands, as text for people."""
        return f"{self.path.name} line {self.line}"


def assignments(path: Path) -> Iterator[Assignment]:
    """Yield what the file assigns, in its order; nothing where there is no file or no value.

    Raises SettingsError (exit 3) that names a line which assigns nothing.
    """
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{path.name} line {line} is no text in UTF-8",
            hint="Save the file as UTF-8.",
            path=path,
            line=line,
        ) from error
    yield from _parsed(text, path)


def _parsed(text: str, path: Path) -> Iterator[Assignment]:
    with io.StringIO(text) as file:
        for binding in parse_stream(file):
            written = binding.original.string
            line = binding.original.line + len(written) - len(written.lstrip("\n"))
            if binding.error or (binding.key and binding.value is None):
                first = (written.split() or [""])[0]
                raise SettingsError(
                    f"{path.name} line {line}: {first.partition('=')[0]!r} begins nothing of the"
                    " form NAME=VALUE",
                    hint="Correct the line, or begin it with # to leave it out.",
                    path=path,
                    line=line,
                )
            if binding.key and binding.value:
                yield Assignment(binding.key, binding.value, path, line)


def last_assignments(path: Path) -> dict[str, Assignment]:
    """Return for each name, in small letters, the assignment that counts: the file's last."""
    return {one.name.lower(): one for one in assignments(path)}
