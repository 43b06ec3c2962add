"""Every setting of Annals: the groups together, and where their values come from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from annals.errors import SettingsError
from annals.settings.groups.agent import AgentSettings
from annals.settings.groups.destinations import DestinationSettings
from annals.settings.groups.flows import FlowSettings
from annals.settings.groups.lake import LakeSettings
from annals.settings.groups.logs import LogSettings
from annals.settings.groups.mongo import MongoSettings
from annals.settings.groups.paths import PathSettings
from annals.settings.groups.serving import ServingSettings
from annals.settings.groups.warehouse import WarehouseSettings
from annals.settings.harmless import register_settings, register_variables
from annals.settings.sources import FileSource


class Settings(
    LogSettings,
    DestinationSettings,
    ServingSettings,
    FlowSettings,
    AgentSettings,
    WarehouseSettings,
    MongoSettings,
    LakeSettings,
    PathSettings,
    BaseSettings,
):
    """All settings. The environment variable of a field is its name in capitals.

    A setting whose value is wrong, and that ``load_settings`` let pass, raises its SettingsError
    where it is used.
    """

    model_config = SettingsConfigDict(
        defer_build=False,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    _flags: frozenset[str] = PrivateAttr(frozenset())
    _invalid: dict[str, SettingsError] = PrivateAttr(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._flags = frozenset(values)

    if not TYPE_CHECKING:  # mypy would take every attribute for one that exists

        def __getattr__(self, name: str) -> Any:
            """Raise what is wrong with a setting; other names are none of this class's."""
            if name in type(self).model_fields and name in self._invalid:
                raise self._invalid[name]
            return super().__getattr__(name)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from: flags, the environment, and the one settings file."""
        return init_settings, env_settings, FileSource(settings_cls)

    @property
    def flags(self) -> frozenset[str]:
        """The names of the settings that came from the command line, or from code."""
        return self._flags

    def with_flags(self, names: Iterable[str]) -> Settings:
        """Return the same settings, of which these came from the command line."""
        copy = self.model_copy()
        copy._flags = frozenset(names)  # noqa: SLF001 -- of this very class
        return copy

    @property
    def invalid(self) -> dict[str, SettingsError]:
        """What is wrong with which setting, where that was let pass."""
        return self._invalid

    def model_post_init(self, _context: Any) -> None:
        """Register what is secret in the values, so that no text shows it."""
        register_settings(iter(self))
        register_variables(os.environ)
