"""Dockerfiles as stages of instructions; continuation lines joined, comments left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FILES = ("deploy/annals/Dockerfile", "deploy/metabase/Dockerfile", "deploy/object-store/Dockerfile")


@dataclass(slots=True)
class Stage:
    """A stage: what it is built from, its name, and its instructions with their arguments."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, kind: str) -> list[str]:
        """Return the arguments of every instruction of a kind."""
        return [text for name, text in self.instructions if name == kind]


def stages(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile in their order, arguments of ``FROM`` filled in."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        kind, _, rest = line.strip().partition(" ")
        if kind == "ARG" and not found:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif kind == "FROM":
            base, _, name = rest.partition(" AS ")
            filled = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
            found.append(Stage(filled, name.strip()))
        elif kind:
            found[-1].instructions.append((kind, rest.strip()))
    return found
