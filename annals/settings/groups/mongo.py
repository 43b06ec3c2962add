"""Settings of the MongoDB that agents ship to."""

from __future__ import annotations

from pydantic import Field, SecretStr

from annals.settings.values import SettingsGroup


class MongoSettings(SettingsGroup):
    """Settings of the MongoDB that agents ship to."""

    mongo_uri: SecretStr | None = Field(
        None, description="MongoDB to ship to; unset means embedded: the buffer is the source."
    )
    mongo_db: str = Field("claude_logs", description="MongoDB database.")
