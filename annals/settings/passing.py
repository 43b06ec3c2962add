"""Settings handed on to another process of this program, as environment variables."""

from __future__ import annotations

import os

from pydantic import SecretStr

from annals.settings.destinations import passed_on
from annals.settings.files import VARIABLE
from annals.settings.model import Settings
from annals.settings.roots import CONFIG_DIR


def as_environment(settings: Settings, **changes: str) -> dict[str, str]:
    """Return each setting that is not a default by its variable, with secrets; then ``changes``.

    So a process that is started in another folder, or without our flags, means the same, and may
    send data to the places that our flags named. Folders of transcripts that CLAUDE_CONFIG_DIR
    names are handed on, too: a service does not have it.
    """
    names = set(settings.model_fields_set)
    if os.environ.get(CONFIG_DIR):
        names.add("claude_dir")
    values = {
        name.upper(): _plain(getattr(settings, name))
        for name in sorted(names)
        if getattr(settings, name) is not None
    }
    if allowed := passed_on(settings):
        values["ALLOW_DESTINATIONS"] = allowed
    if file := os.environ.get(VARIABLE):
        values[VARIABLE] = file
    return {**values, **changes}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
