"""Settings of the stack of containers: what ``.env.analytics`` may say beside the other settings.

``make up`` reads the settings file (``.env`` of the checkout), then ``.env.analytics``, then the
environment; the later one wins.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from annals.errors import SettingsError
from annals.settings.dotenv import Assignment, last_assignments, settings_lines
from annals.settings.files import settings_file
from annals.settings.loading import faults
from annals.settings.model import Settings
from annals.settings.roots import default_roots, resolve_roots
from annals.settings.values import RootPaths

OWN_FILE = ".env.analytics"
"""The file that holds nothing but known names; the settings file is read before it."""

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
    "state_mode": "group",
    "prefect_api_url": "http://prefect-server:4200/api",
}
"""Settings that are the same in every container, whatever ``.env`` or the environment says."""

_DOCKER_LOGS = "containers log to Docker, which rotates the logs (`make logs`)"
NOT_INSIDE = {
    "log_file": _DOCKER_LOGS,
    "log_file_max_bytes": _DOCKER_LOGS,
    "log_file_count": _DOCKER_LOGS,
    "reads_transcripts": "the sync agent reads them, and the worker never does",
    "prefect_login": "the first `make up` makes one (PREFECT_PASSWORD in .env.secrets)",
}
"""Settings that mean nothing in the stack, and why."""

OWN_CATALOG = "http://rest-catalog:8181"
"""The catalog of the profile ``s3``."""

LEAST_WORKER_MIB = 1024

Port = Annotated[int, Field(ge=1, le=65_535)]
_SHA256 = r"^([0-9a-f]{64})?$"


class StackSettings(BaseModel):
    """What the stack of containers gets. The variable of a field is its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)

    claude_dir: RootPaths = Field(
        default_factory=default_roots,
        description="Folder of the transcripts, several joined as in PATH; each is mounted"
        " read-only, and so are the targets of links among its project folders.",
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
    grafana_port: Port = Field(3002, description="Port of Grafana.")
    object_store_port: Port = Field(8333, description="Port of the object store.")
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
    pipeline_trigger: Literal["off", "prefect"] = Field(
        "prefect",
        description="Whether the sync agent asks for a run when it has read new entries; off leaves"
        " runs to their schedule.",
    )

    @field_validator("worker_memory")
    @classmethod
    def _is_enough(cls, value: str) -> str:
        if int(value[:-1]) * (1024 if value[-1] == "g" else 1) < LEAST_WORKER_MIB:
            raise ValueError(f"a worker needs at least {LEAST_WORKER_MIB // 1024}g")
        return value

    @property
    def claude_dirs(self) -> tuple[Path, ...]:
        """The folders of transcripts, each by itself."""
        return resolve_roots(map(Path, str(self.claude_dir).split(os.pathsep)))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The further parts that are asked for."""
        return tuple(name.strip() for name in self.stack_profiles.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class Given:
    """What files and environment say together, checked.

    ``values`` are the settings as they were written, by names in small letters, ``places`` where
    each of them stands; ``others`` are what ``.env`` says beside them, for other programs.
    """

    stack: StackSettings
    settings: Settings
    values: Mapping[str, str]
    places: Mapping[str, str]
    others: Mapping[str, str]

    def place(self, name: str) -> str:
        """Return name and place of a setting as text for people."""
        return f"{name.upper()} ({self.places.get(name, 'default')})"


def read_stack(folder: Path, environment: Mapping[str, str]) -> Given:
    """Return what the files in ``folder`` and the environment say of the stack.

    The other settings in the files are checked too, so that no container has to fail on them.
    Raises SettingsError (exit 3) with the file, the line and the name of what is wrong.
    """
    found: dict[str, Assignment] = {}
    shared = settings_file(folder)
    if shared is not None:
        found |= last_assignments(shared) if shared.parent == folder else settings_lines(shared)
    own = last_assignments(folder / OWN_FILE)
    _refuse_unknown(own)
    found |= own
    values = {name: one.value for name, one in found.items() if name in _KNOWN}
    places = {name: one.place for name, one in found.items()}
    for key, value in environment.items():
        if value and key.lower() in _KNOWN:
            values[key.lower()] = value
            places[key.lower()] = "environment"
    _name_the_catalog(values, places)
    others = {
        one.name: environment.get(one.name) or one.value
        for name, one in found.items()
        if name not in _KNOWN
    }
    try:
        settings = Settings.model_validate(_only(values, Settings)).with_flags(
            name for name in values if places.get(name) != "environment"
        )
        stack = StackSettings.model_validate(_only(values, StackSettings))
    except ValidationError as error:
        raise SettingsError(
            f"invalid settings: {_placed(faults(error, places), places)}",
            hint="Correct the line; .env.analytics.example lists every setting of the stack.",
        ) from error
    _refuse_unknown_profiles(stack, places)
    return Given(stack, settings, values, places, others)


_KNOWN = frozenset({*StackSettings.model_fields, *Settings.model_fields})


def _name_the_catalog(values: dict[str, str], places: dict[str, str]) -> None:
    """Say what is left unsaid: the profile ``s3`` has a catalog, a web address is a REST one."""
    address, kind = values.get("iceberg_catalog_uri", ""), values.get("iceberg_catalog_type")
    profiles = [name.strip() for name in values.get("stack_profiles", "").split(",")]
    said = {}
    if not address and kind != "sql" and "s3" in profiles:
        said = {"iceberg_catalog_type": "rest", "iceberg_catalog_uri": OWN_CATALOG}
    elif kind is None and re.match("https?://", address, re.IGNORECASE):
        said = {"iceberg_catalog_type": "rest"}
    values |= said
    places |= dict.fromkeys(
        said, places.get("iceberg_catalog_uri", places.get("stack_profiles", ""))
    )


def _only(values: Mapping[str, str], model: type[BaseModel]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name in model.model_fields}


def _placed(says: str, places: Mapping[str, str]) -> str:
    """Return the words with the place of each setting in them: some faults are of two at once."""
    named = dict.fromkeys(re.findall(r"\b([A-Z][A-Z0-9_]+)\b(?! \()", says))
    found = [f"{name} ({places[name.lower()]})" for name in named if name.lower() in places]
    new = [one for one in found if one not in says]
    whole = says.removeprefix(": ")
    return f"{whole} [{', '.join(new)}]" if new else whole


def _refuse_unknown(lines: Mapping[str, Assignment]) -> None:
    for name, one in lines.items():
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, n=1)
            meant = f"; did you mean {near[0].upper()}?" if near else ""
            raise _refused(one, f"there is no setting {one.name}{meant}", "Correct the name")
        if name in NOT_INSIDE:
            why = f"{one.name} means nothing in the stack: {NOT_INSIDE[name]}"
            raise _refused(one, why, "Remove the line (in .env it is for use without Docker)")
        if one.value != INSIDE.get(name, one.value):
            why = f"{one.name} is {INSIDE[name]} in every container"
            raise _refused(one, why, "Remove the line (in .env it is for use without Docker)")


def _refused(one: Assignment, why: str, remedy: str) -> SettingsError:
    return SettingsError(
        f"{one.place}: {why}",
        hint=f"{remedy}; .env.analytics.example lists every setting of the stack.",
        path=one.path,
        line=one.line,
    )


def _refuse_unknown_profiles(stack: StackSettings, places: Mapping[str, str]) -> None:
    if unknown := [name for name in stack.profiles if name not in PROFILES]:
        raise SettingsError(
            f"STACK_PROFILES ({places.get('stack_profiles', 'default')}) names {unknown[0]!r},"
            " which is not part of the stack",
            hint=f"Use any of {', '.join(PROFILES)}, with commas between them.",
        )
