"""Where each setting came from: a flag, the environment, a line of ``.env``, or its default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dotenv.parser import parse_stream
from pydantic import SecretStr

from analytics.settings.model import Settings

_USERINFO = re.compile(r"://.*@")
_QUERY = re.compile(r"\?.*")
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Origin:
    """The source that gave a setting its value; ``where`` names the place in it."""

    kind: Literal["flag", "environment", ".env", "default"]
    where: str

    def __str__(self) -> str:
        return self.where if self.kind == ".env" else f"{self.kind} {self.where}".rstrip()


def origins(flags: Mapping[str, object]) -> dict[str, Origin]:
    """Return the origin of every setting, given the ``flags`` that were used.

    Follows the order in which pydantic-settings looks: flags, environment, ``.env``, defaults;
    names are compared without case and empty values count as absent.
    """
    environment = {name.lower(): name for name, value in os.environ.items() if value}
    lines = dict(_dotenv_lines(_dotenv_file()))
    return {
        name: _origin(name, flags=flags, environment=environment, lines=lines)
        for name in Settings.model_fields
    }


def shown(value: Any) -> str:
    """Return a setting's value as text for people, with everything secret in it masked."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return _masked(_QUERY.sub(f"?{HIDDEN}", secret)) if "://" in secret else HIDDEN
    return _masked(str(value))


def _masked(text: str) -> str:
    return _USERINFO.sub(f"://{HIDDEN}@", text)


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
        return Origin(".env", lines[name])
    return Origin("default", "")


def _dotenv_file() -> Path:
    return Path(str(Settings.model_config.get("env_file") or ".env")).absolute()


def _dotenv_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each variable that the file sets, with its place; the last one of a name counts."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for binding in parse_stream(file):
            if binding.key and binding.value:
                skipped = len(binding.original.string) - len(binding.original.string.lstrip("\n"))
                yield binding.key.lower(), f"{path.name} line {binding.original.line + skipped}"
