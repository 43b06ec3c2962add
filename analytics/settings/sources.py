"""The settings file as a source of values."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from analytics.settings.dotenv import settings_values
from analytics.settings.files import settings_file


class FileSource(PydanticBaseSettingsSource):
    """What the one settings file says, where there is one (:mod:`analytics.settings.files`)."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 -- the library's signature
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Return no value: all of them come at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of the file that are settings."""
        known = self.settings_cls.model_fields
        found = settings_values(settings_file())
        return {name: value for name, value in found.items() if name in known}
