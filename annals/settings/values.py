"""Kinds of values that settings have: paths and folders of transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic.functional_validators import BeforeValidator

from annals.settings.folders import expanded_path, joined_roots

UserPath = Annotated[Path, BeforeValidator(expanded_path)]
"""A path in which ``~`` is the home folder; always absolute."""

RootPaths = Annotated[Path, BeforeValidator(joined_roots)]
"""One folder or, joined by ``os.pathsep``, several; without symlinks and ``..``.

One folder is one folder, however it is spelled; :attr:`Settings.claude_dirs` takes them apart.
"""
