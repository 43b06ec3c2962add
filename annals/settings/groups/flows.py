"""Settings of orchestrated runs: the Prefect server, retries, notifications."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from annals.settings.harmless import is_web_address
from annals.settings.values import SettingsGroup, WebAddress


class FlowSettings(SettingsGroup):
    """Settings of orchestrated runs: the Prefect server, retries, notifications."""

    prefect_api_url: WebAddress | None = Field(
        None,
        description="Prefect server on whose record the stage commands run as flows; unset means"
        " without Prefect.",
    )
    flow_retries: int = Field(
        3, ge=0, description="Times a stage is tried again in a flow where a retry may help."
    )
    flow_retry_seconds: float = Field(
        10,
        gt=0,
        description="Seconds before the first retry in a flow; then doubled, up to 8-fold.",
    )
    zombie_seconds: int = Field(
        100,
        ge=40,
        description="Seconds without a sign of life after which a flow run counts as crashed; it"
        " gives one every 30.",
    )
    freshness_hours: float = Field(
        72,
        ge=0,
        description="Hours without new data, while an agent is active, that are notified; 0 for"
        " never.",
    )
    notify_url: SecretStr | None = Field(
        None, description="Address that notifications are sent to; a secret, as it lets in."
    )
    notify_with: Literal["none", "webhook", "slack", "teams"] = Field(
        "none", description="What notifies of failed, dead and overdue flow runs."
    )

    @field_validator("notify_url")
    @classmethod
    def _is_a_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_web_address(value.get_secret_value()):
            raise ValueError(
                "is not an address of a webhook, which begins with https:// or http://"
            )
        return value

    @field_validator("notify_with")
    @classmethod
    def _has_an_address(cls, value: str, found: ValidationInfo) -> str:
        if value != "none" and found.data.get("notify_url", "it is wrong") is None:
            raise ValueError(f"{value} needs an address: set NOTIFY_URL, or NOTIFY_WITH=none")
        return value

    @property
    def prefect_api(self) -> str:
        """The address of the Prefect API, without a slash at its end: ours where none is set."""
        return (self.prefect_api_url or "http://127.0.0.1:4200/api").rstrip("/")
