"""The setting that says where data may go beside what others name."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from annals.settings.addresses import parse_destinations
from annals.settings.harmless import is_web_address
from annals.settings.values import SettingsGroup


class DestinationSettings(SettingsGroup):
    """The part of the settings that allows places off this machine."""

    allow_destinations: str = Field(
        "",
        description="Places off this machine that data may go to although the environment alone"
        " names them: HOST[:PORT][/NAME], with commas between them.",
    )

    outbound_proxy: SecretStr | None = Field(
        None,
        description="Address of the proxy by which the lake's catalog, its object store and"
        " notifications are reached if they are off this machine, such as http://proxy:3128; unset"
        " means none, whatever HTTP_PROXY and its like say.",
    )

    @field_validator("outbound_proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_web_address(value.get_secret_value()):
            raise ValueError("is not the address of a proxy (example: http://proxy:3128)")
        return value

    @field_validator("allow_destinations")
    @classmethod
    def _lists_places(cls, value: str) -> str:
        parse_destinations(value)
        return value
