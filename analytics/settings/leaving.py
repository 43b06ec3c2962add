"""The setting that says where data may go beside what others name."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from analytics.settings.addresses import parse_destinations


class DestinationSettings(BaseModel):
    """The part of the settings that allows places off this machine."""

    allow_destinations: str = Field(
        "",
        description="Places off this machine that data may go to although the environment alone"
        " names them: HOST[:PORT][/NAME], with commas between them.",
    )

    @field_validator("allow_destinations")
    @classmethod
    def _lists_places(cls, value: str) -> str:
        parse_destinations(value)
        return value
