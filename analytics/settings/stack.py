"""Settings of the stack of containers: what ``.env.analytics`` may say beside the other settings.

``make up`` reads ``.env``, then ``.env.analytics``, then the environment; the later one wins.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from analytics.errors import SettingsError
from analytics.settings.dotenv import Assignment, last_assignments
from analytics.settings.model import RootPaths, Settings, faults

FILES = (".env", ".env.analytics")
"""The files in the order in which they are read; the second holds nothing but known names."""

PROFILES = ("team", "s3", "observability")

INSIDE = {
    "duckdb_path": "/duckdb/analytics.db",
    "iceberg_warehouse_path": "/data/iceberg",
    "iceberg_catalog_name": "default",
    "dbt_target": "dev",
    "publish_path": "/published",
    "annals_home": "/state",
    "sqlite_path": "/buffer/buffer.db",
    "health_host": "0.0.0.0",  # noqa: S104 -- inside its container; the port is published on 127.0.0.1
    "health_port": "9090",
}
"""Settings that are the same in every container, whatever a file says."""

Port = Annotated[int, Field(ge=1, le=65_535)]
_SHA256 = r"^([0-9a-f]{64})?$"


class StackSettings(BaseModel):
    """What the stack of containers is told. The variable of a field is its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)

    claude_dir: RootPaths = Field(
        Path("~/.claude/projects"),
        description="Folder of the transcripts; it is mounted read-only.",
    )
    mongo_uri: SecretStr | None = Field(
        None, description="A MongoDB that is there already; unset means that the stack runs one."
    )
    stack_profiles: str = Field(
        "",
        description="Further parts, with commas between them: team (PostgreSQL for Prefect), s3"
        " (object store and REST catalog), observability (Prometheus and Grafana).",
    )
    agent_port: Port = Field(9090, description="Port of the sync agent's /health.")
    prefect_port: Port = Field(4200, description="Port of the Prefect UI and API.")
    metabase_port: Port = Field(3001, description="Port of Metabase.")
    dbt_docs_port: Port = Field(8686, description="Port of the dbt docs.")
    prometheus_port: Port = Field(9091, description="Port of Prometheus.")
    grafana_port: Port = Field(3002, description="Port of Grafana.")
    object_store_port: Port = Field(8333, description="Port of the object store.")
    catalog_port: Port = Field(8181, description="Port of the REST catalog.")
    mongo_publish_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Port on which the stack's own MongoDB is published; 0 for none.",
    )
    metabase_sha256: str = Field(
        "",
        pattern=_SHA256,
        description="SHA-256 of the Metabase jar that is built in (docs/unverified.md).",
    )
    metabase_driver_sha256: str = Field(
        "",
        pattern=_SHA256,
        description="SHA-256 of the DuckDB driver's jar; without both sums Metabase is left out.",
    )
    worker_memory: str = Field(
        "3g",
        pattern=r"^\d+[mg]$",
        description="Memory the Prefect worker may use, its runs included.",
    )
    log_format: Literal["text", "json"] = Field("json", description="Form of log events.")

    @property
    def claude_dirs(self) -> tuple[Path, ...]:
        """The folders of transcripts, each by itself; the stack takes one."""
        return tuple(map(Path, str(self.claude_dir).split(os.pathsep)))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The further parts that are asked for."""
        return tuple(name.strip() for name in self.stack_profiles.split(",") if name.strip())


def read_stack(folder: Path, environment: Mapping[str, str]) -> StackSettings:
    """Return the stack's settings from the files in ``folder`` and the environment.

    The other settings in the files are checked too, so that no container has to fail on them.
    Raises SettingsError (exit 3) with the file, the line and the name of what is wrong.
    """
    found: dict[str, Assignment] = {}
    for name in FILES:
        lines = last_assignments(folder / name)
        if name != FILES[0]:
            _refuse_unknown(lines)
        found |= lines
    values = {name: one.value for name, one in found.items()}
    places = {name: one.place for name, one in found.items()}
    for key, value in environment.items():
        if value and key.lower() in {*StackSettings.model_fields, *Settings.model_fields}:
            values[key.lower()] = value
            places[key.lower()] = "environment"
    try:
        Settings.model_validate(_only(values, Settings))
        stack = StackSettings.model_validate(_only(values, StackSettings))
    except ValidationError as error:
        raise SettingsError(
            f"invalid settings: {faults(error, places)}",
            hint="Correct the line; .env.analytics.example lists every setting of the stack.",
        ) from error
    _refuse_unknown_profiles(stack, places)
    return stack


def _only(values: Mapping[str, str], model: type[BaseModel]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name in model.model_fields}


def _refuse_unknown(lines: Mapping[str, Assignment]) -> None:
    known = {*StackSettings.model_fields, *Settings.model_fields}
    for name, one in lines.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0].upper()}?" if near else ""
            raise SettingsError(
                f"{one.place}: there is no setting {one.name}{meant}",
                hint="Correct the name; .env.analytics.example lists every setting of the stack.",
                path=one.path,
                line=one.line,
            )


def _refuse_unknown_profiles(stack: StackSettings, places: Mapping[str, str]) -> None:
    if unknown := [name for name in stack.profiles if name not in PROFILES]:
        raise SettingsError(
            f"STACK_PROFILES ({places.get('stack_profiles', 'default')}) names {unknown[0]!r},"
            " which is no part of the stack",
            hint=f"Use any of {', '.join(PROFILES)}, with commas between them.",
        )
