"""What goes to standard output: data, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from annals.text import json_text, one_line

SCHEMA_VERSION = 1
"""Version of every command's JSON; raised when a key changes its meaning or goes away."""


def print_json(payload: Mapping[str, Any]) -> None:
    """Print one JSON object, with ``schema_version`` first."""
    body = {"schema_version": SCHEMA_VERSION, **payload}
    sys.stdout.write(json_text(body, indent=2, default=str) + "\n")


def print_json_rows(key: str, rows: Iterable[Mapping[str, Any]], rest: Mapping[str, Any]) -> None:
    """Print one JSON object with ``rows`` as the list ``key``, each written when it is read.

    Nothing is printed before the first row is there: what fails until then leaves no broken JSON.
    """
    remaining = iter(rows)
    first = next(remaining, None)
    write = sys.stdout.write
    write(f'{{\n  "schema_version": {SCHEMA_VERSION},\n  {json_text(key)}: [')
    if first is not None:
        write("\n    " + json_text(first, default=str))
        for row in remaining:
            write(",\n    " + json_text(row, default=str))
        write("\n  ")
    write("]")
    for name, value in rest.items():
        text = json_text(value, indent=2, default=str).replace("\n", "\n  ")
        write(f",\n  {json_text(name)}: {text}")
    write("\n}\n")


def as_members(value: Any) -> Any:
    """Return a report dataclass, and all it holds, as members of a JSON object."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_members(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_members(member) for key, member in value.items()}
    if isinstance(value, tuple | list):
        return [as_members(member) for member in value]
    return value


def say(text: str) -> None:
    """Print one line for people; nothing in it can send control codes to a terminal."""
    sys.stdout.write(one_line(text) + "\n")


def tell(text: str) -> None:
    """Print one line that is not data, such as a warning, to standard error, as safe as data."""
    sys.stderr.write(one_line(text) + "\n")
