"""The example ``.env`` files and the settings reference, written from the settings classes.

``python -m annals.settings.template`` prints the first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from annals.settings.model import Settings
from annals.settings.stack import INSIDE, NOT_INSIDE, StackSettings

_HEAD = """\
# Every setting of Annals with its default. Copy this file to .env beside it (in a checkout) or to
# ~/.config/annals/annals.env, and uncomment what you change. A flag wins over the environment, the
# environment over the file, the file over the default. The working folder's .env is never read.
# Written by: python -m annals.settings.template
"""

_STACK_HEAD = """\
# Every setting of the stack of containers with its default. Copy this file to .env.analytics and
# uncomment what you change. The environment wins over this file, this file over .env.
# Passwords are not here: the first `make up` writes them to .env.secrets, for your eyes only.
# Written by: make reference
"""

_AGENT_AND_PIPELINE = """\
# ---- Settings of the agent and the pipeline in the stack; the rest stands fixed inside it: ----
"""

_STACK_REFERENCE_HEAD = """
## The stack of containers

`make up` ([deployment.md](../deployment.md)) reads `.env`, then `.env.analytics`, then the
environment; the later one wins. Any setting above may stand there too, except those that are the
same in every container: """

_REFERENCE_HEAD = """\
# Settings

Written from the settings class; do not edit by hand (`make reference`).

A flag (`--set NAME=VALUE`, or the command's own) wins over the environment, the environment over
the settings file, the file over the default. The settings file is the first of these that exists;
no other one is read, and never `.env` of the working folder:

1. the file that `--env-file FILE` or `ANNALS_ENV_FILE` names (`/dev/null`: no file)
2. `.env` of the checkout that the program runs from
3. `~/.config/annals/annals.env`

`annals config show --origin` says where each value came from. The file has to be regular, at most
1 MiB of UTF-8 text, and neither another user's nor writable by every user; a link is followed, and
its target judged. `~` is the home folder, and a relative path in the file begins at the file's own
folder; an empty value counts as absent.

A place off this machine (MONGO_URI, ICEBERG_CATALOG_URI, S3_ENDPOINT, NOTIFY_URL, PREFECT_API_URL,
OUTBOUND_PROXY)
that the environment alone names has to be allowed once, by `annals sync allow HOST[:PORT]/DATABASE`
or ALLOW_DESTINATIONS ([security](../../SECURITY.md)).

| variable | default | meaning |
|---|---|---|
"""


def env_example() -> str:
    """Return the text of ``.env.example``: a comment line and an assignment for each setting."""
    return "\n".join([_HEAD, *_blocks(Settings.model_fields)])


def stack_env_example() -> str:
    """Return the text of ``.env.analytics.example``: the stack's settings, then all others."""
    fixed = "".join(f"# {name.upper()}={value}\n" for name, value in INSIDE.items())
    others = {
        name: field
        for name, field in Settings.model_fields.items()
        if name not in {*INSIDE, *NOT_INSIDE, *StackSettings.model_fields}
    }
    return "\n".join(
        [
            _STACK_HEAD,
            *_blocks(StackSettings.model_fields),
            _AGENT_AND_PIPELINE + fixed,
            *_blocks(others),
        ]
    )


def settings_reference() -> str:
    """Return docs/reference/settings.md: a table with a row for each setting."""
    inside = ", ".join(f"`{name.upper()}={value}`" for name, value in INSIDE.items())
    absent = ", ".join(f"`{name.upper()}`" for name in NOT_INSIDE)
    return (
        _REFERENCE_HEAD
        + _rows(Settings.model_fields)
        + f"{_STACK_REFERENCE_HEAD}{inside}. {absent} mean nothing\nthere. In `.env.analytics` both"
        " are refused; in `.env` they are for use without Docker.\n\n"
        + "| variable | default | meaning |\n|---|---|---|\n"
        + _rows(StackSettings.model_fields)
    )


def _blocks(fields: Mapping[str, FieldInfo]) -> list[str]:
    return [
        f"# {field.description}\n# {name.upper()}={_default(field)}\n"
        for name, field in fields.items()
    ]


def _rows(fields: Mapping[str, FieldInfo]) -> str:
    return "".join(
        f"| `{name.upper()}` | {_quoted(_default(field))} | {field.description} |\n"
        for name, field in fields.items()
    )


def _default(field: FieldInfo) -> str:
    """Return the default as it would be written in ``.env``; empty where it is worked out."""
    if field.default is None or field.default is PydanticUndefined:
        return ""
    return str(field.default)


def _quoted(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(env_example())
