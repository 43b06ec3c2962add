"""Where each setting came from: a flag, the environment, a line of the file, or its default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from annals.settings.dotenv import settings_lines
from annals.settings.files import settings_file
from annals.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Origin:
    """The source that gave a setting its value; ``where`` names the place in it."""

    kind: Literal["flag", "environment", "file", "default"]
    where: str

    def __str__(self) -> str:
        return self.where if self.kind == "file" else f"{self.kind} {self.where}".rstrip()


def origins(flags: Mapping[str, object]) -> dict[str, Origin]:
    """Return the origin of every setting, given the ``flags`` that were used.

    Follows the order in which settings are read: flags, environment, the settings file, defaults;
    names are compared without case and empty values count as absent.
    """
    environment = {name.lower(): name for name, value in os.environ.items() if value}
    lines = {name: one.place for name, one in settings_lines(settings_file()).items()}
    return {
        name: _origin(name, flags=flags, environment=environment, lines=lines)
        for name in Settings.model_fields
    }


def _origin(
    name: str,
    *,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    lines: Mapping[str, str],
) -> Origin:
    if flags.get(name) is not None:
        return Origin("flag", f"--set {name.upper()}")
    if name in environment:
        return Origin("environment", environment[name])
    if name in lines:
        return Origin("file", lines[name])
    return Origin("default", "")
