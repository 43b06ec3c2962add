"""Kinds of values that settings have: paths, folders of transcripts, web addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict
from pydantic.functional_validators import AfterValidator, BeforeValidator

from annals.settings.folders import expanded_path, joined_roots
from annals.settings.harmless import is_web_address


def _require_web_address(value: str) -> str:
    if not is_web_address(value):
        raise ValueError("is not an address (example: http://127.0.0.1:4200/api)")
    return value


UserPath = Annotated[Path, BeforeValidator(expanded_path)]
"""A path in which ``~`` is the home folder; always absolute."""

RootPaths = Annotated[Path, BeforeValidator(joined_roots)]
"""One folder or, joined by ``os.pathsep``, several; without symlinks and ``..``.

One folder is one folder, however it is spelled; :attr:`Settings.claude_dirs` takes them apart.
"""

WebAddress = Annotated[str, AfterValidator(_require_web_address)]
"""The address of a web server: http or https, with a host."""


class SettingsGroup(BaseModel):
    """A group of settings; only ``Settings``, which has them all, is ever made and validated."""

    model_config = ConfigDict(defer_build=True)  # a schema for each would delay every command
