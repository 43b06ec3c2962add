"""Settings of services that open a port, and of their clients."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from annals.guard import parse_names
from annals.settings.values import SettingsGroup


class ServingSettings(SettingsGroup):
    """The part of the settings that says who may ask our services, and as whom we ask."""

    allowed_hosts: str = Field(
        "",
        description="Host names, with commas between them, that our ports answer to beside"
        " localhost and the address they are opened on, such as that of a reverse proxy.",
    )
    prefect_login: SecretStr | None = Field(
        None,
        description="USER:PASSWORD of the Prefect server; unset means the one that `annals up`"
        " writes to ANNALS_HOME/prefect/login.",
    )
    run_variables: str = Field(
        "FLOW_RETRIES,FLOW_RETRY_SECONDS",
        description="Settings, with commas between them, that a single flow run may change by the"
        " job variable `env`; a run that carries anything else is refused.",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _names_hosts(cls, value: str) -> str:
        parse_names(value)
        return value

    @field_validator("prefect_login")
    @classmethod
    def _is_a_pair(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else "a:b"
        if not (text.isascii() and text.isprintable() and all(text.partition(":")[::2])):
            raise ValueError("must be USER:PASSWORD, in printable ASCII")
        return value

    @property
    def runs_may_set(self) -> frozenset[str]:
        """The variables that a flow run may set."""
        return frozenset(filter(None, (part.strip() for part in self.run_variables.split(","))))
