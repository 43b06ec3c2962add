"""``.env.example`` and the settings reference, written from the settings class.

``python -m analytics.settings.template`` prints the first.
"""

from __future__ import annotations

import sys

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from analytics.settings.model import Settings

_HEAD = """\
# Every setting of Annals with its default. Copy this file to .env and uncomment what you change.
# A flag wins over the environment, the environment over .env, .env over the default.
# Written by: python -m analytics.settings.template
"""

_REFERENCE_HEAD = """\
# Settings

Written from the settings class; do not edit by hand (`make reference`).

A flag (`--set NAME=VALUE`, or the command's own) wins over the environment, the environment over
`.env` in the working folder, `.env` over the default. `annals config show --origin` says where
each value came from. `~` is the home folder; an empty value counts as absent.

| variable | default | meaning |
|---|---|---|
"""


def env_example() -> str:
    """Return the text of ``.env.example``: a comment line and an assignment for each setting."""
    blocks = [
        f"# {field.description}\n# {name.upper()}={_default(field)}\n"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([_HEAD, *blocks])


def settings_reference() -> str:
    """Return docs/reference/settings.md: a table with a row for each setting."""
    rows = [
        f"| `{name.upper()}` | {_quoted(_default(field))} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _REFERENCE_HEAD + "".join(rows)


def _default(field: FieldInfo) -> str:
    """Return the default as it would be written in ``.env``; empty where it is worked out."""
    if field.default is None or field.default is PydanticUndefined:
        return ""
    return str(field.default)


def _quoted(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(env_example())
