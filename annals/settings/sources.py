"""The settings file as a source of values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from annals.settings.dotenv import settings_values
from annals.settings.files import settings_file


class FileSource(PydanticBaseSettingsSource):
    """What the one settings file says, where there is one (:mod:`annals.settings.files`)."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 -- the library's signature
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Return no value: all of them come at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of the file that are settings."""
        file = settings_file()
        known = self.settings_cls.model_fields
        return {
            name: _from_folder(value, file.parent)
            if file and "Path" in str(known[name].annotation)
            else value
            for name, value in settings_values(file).items()
            if name in known
        }


def _from_folder(value: str, folder: Path) -> str:
    """Return paths as absolute ones: a relative one begins at the file that it is in.

    The working folder must not decide what a settings file means.
    """
    if "://" in value:
        return value
    return os.pathsep.join(
        part if not part or part.startswith("~") else os.path.join(folder, part)  # noqa: PTH118
        for part in value.split(os.pathsep)
    )
