"""How Docker is called: which files, which parts, which environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annals.settings.stack import OWN_CATALOG, Given, StackSettings
from operations.stack.inside import FILE as LAYER_FILE
from operations.stack.inside import inside, layer
from operations.stack.passwords import FILE as PASSWORDS_FILE
from operations.stack.passwords import NAMES as PASSWORDS
from operations.stack.places import allowed_inside

_USER_INSIDE = 10_001

PORTS = {
    "sync-agent": "agent_port",
    "prefect-server": "prefect_port",
    "metabase": "metabase_port",
    "dbt-docs": "dbt_docs_port",
    "grafana": "grafana_port",
    "object-store": "object_store_port",
    "mongodb": "mongo_publish_port",
}
"""The setting that says on which port a service is published."""

_PARTS = {
    "metabase": ("metabase",),
    "mongodb": ("mongodb",),
    "team": ("prefect-database",),
    "s3": ("object-store", "rest-catalog"),
    "observability": ("prometheus", "grafana", "pipeline-metrics"),
}
ALWAYS = ("sync-agent", "prefect-server", "prefect-worker", "dbt-docs")


@dataclass(frozen=True, slots=True)
class Plan:
    """A call of Docker: ``command`` and ``environment``, and what people get about it.

    ``layer`` is the text of the file that the command reads first, before docker-compose.yml.
    """

    stack: StackSettings
    command: tuple[str, ...]
    environment: Mapping[str, str]
    profiles: tuple[str, ...]
    layer: str
    notes: tuple[str, ...] = field(default=())

    @property
    def services(self) -> tuple[str, ...]:
        """The services that this plan starts and keeps running."""
        return (*ALWAYS, *(name for one in self.profiles for name in _PARTS[one]))

    @property
    def ports(self) -> dict[str, int]:
        """The port of each service that is published, on 127.0.0.1."""
        found = {name: int(getattr(self.stack, PORTS[name])) for name in PORTS}
        return {name: port for name, port in found.items() if port and name in self.services}


def make_plan(folder: Path, given: Given, environment: Mapping[str, str]) -> Plan:
    """Return how the stack in ``folder`` is run with these settings."""
    stack = given.stack
    profiles, notes = _profiles(stack)
    variables, explained = inside(given)
    layers = [LAYER_FILE, "docker-compose.yml"]
    if "team" in profiles:
        layers.append("deploy/team.yml")
    if given.values.get("iceberg_catalog_uri") == OWN_CATALOG:
        layers.append("deploy/s3.yml")
    if "mongodb" in profiles and stack.mongo_publish_port:
        layers.append("deploy/mongo-port.yml")
    if (folder / "docker-compose.override.yml").is_file():
        layers.append("docker-compose.override.yml")
    command = (
        *("docker", "compose", "--project-directory", str(folder)),
        *("--env-file", str(folder / PASSWORDS_FILE)),
        *(part for name in layers for part in ("--file", str(folder / name))),
        *(part for name in profiles for part in ("--profile", name)),
    )
    others = {name: value for name, value in given.others.items() if name not in PASSWORDS}
    return Plan(
        stack,
        command,
        {**others, **environment, **variables, **_fixed(given)},
        profiles,
        layer(given, variables),
        (*notes, *explained),
    )


def _profiles(stack: StackSettings) -> tuple[tuple[str, ...], list[str]]:
    notes = []
    profiles = [*dict.fromkeys(stack.profiles)]
    if stack.mongo_uri is None:
        profiles.insert(0, "mongodb")
    if stack.metabase_sha256 and stack.metabase_driver_sha256:
        profiles.insert(0, "metabase")
    else:
        notes.append(
            "Metabase is left out: METABASE_SHA256 and METABASE_DRIVER_SHA256 are not set"
            " (docs/unverified.md says how to get them)"
        )
    return tuple(profiles), notes


def _fixed(given: Given) -> dict[str, str]:
    """Return the variables that docker-compose.yml itself asks for, no matter who set them."""
    return {
        "CLAUDE_DIR": os.pathsep.join(map(str, given.stack.claude_dirs)),
        "TRANSCRIPTS": str(given.stack.claude_dirs[0]),
        "ANNALS_UID": str(_user(given.stack.claude_dirs[0])),
        "HOST_NAME": given.settings.host_name,
        "TIMEZONE": given.settings.timezone,
        "ALLOW_DESTINATIONS": allowed_inside(given.settings),
        "COMPOSE_IGNORE_ORPHANS": "true",
    }


def _user(transcripts: Path) -> int:
    """Return the user that the containers run as: one who may read the transcripts, never root."""
    if os.getuid():
        return os.getuid()
    try:
        return transcripts.stat().st_uid or _USER_INSIDE
    except OSError:
        return _USER_INSIDE
