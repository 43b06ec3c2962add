"""How Docker is called: which files, which parts, which environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analytics.settings import Settings
from analytics.settings.dotenv import last_assignments
from analytics.settings.stack import FILES, StackSettings
from flows.stack.passwords import FILE as PASSWORDS_FILE

HOST_NAME_INSIDE = "host.docker.internal"
"""The machine that Docker runs on, as a container calls it."""

_USER_INSIDE = 10_001
_AUTHORITY = re.compile(r"^(mongodb://(?:[^@/]*@)?)([^/?]*)")
_THIS_MACHINE = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(?=:|$)", re.IGNORECASE)

PORTS = {
    "sync-agent": "agent_port",
    "prefect-server": "prefect_port",
    "metabase": "metabase_port",
    "dbt-docs": "dbt_docs_port",
    "prometheus": "prometheus_port",
    "grafana": "grafana_port",
    "object-store": "object_store_port",
    "rest-catalog": "catalog_port",
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
    """A call of Docker: ``command`` and ``environment``, and what people are told about it."""

    stack: StackSettings
    command: tuple[str, ...]
    environment: Mapping[str, str]
    profiles: tuple[str, ...]
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


def make_plan(folder: Path, stack: StackSettings, environment: Mapping[str, str]) -> Plan:
    """Return how the stack in ``folder`` is run with these settings."""
    profiles, notes = _profiles(stack)
    given = _given(folder, environment)
    added, explained = _environment(stack, given)
    present = [name for name in (*FILES, PASSWORDS_FILE) if (folder / name).is_file()]
    layers = ["docker-compose.yml"]
    if "team" in profiles:
        layers.append("deploy/team.yml")
    if "s3" in profiles and not {"iceberg_catalog_type", "iceberg_catalog_uri"} & given.keys():
        layers.append("deploy/s3.yml")
    if "mongodb" in profiles and stack.mongo_publish_port:
        layers.append("deploy/mongo-port.yml")
    if (folder / "docker-compose.override.yml").is_file():
        layers.append("docker-compose.override.yml")
    command = (
        *("docker", "compose", "--project-directory", str(folder)),
        *(part for name in present for part in ("--env-file", str(folder / name))),
        *(part for name in layers for part in ("--file", str(folder / name))),
        *(part for name in profiles for part in ("--profile", name)),
    )
    return Plan(stack, command, {**environment, **added}, profiles, (*notes, *explained))


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


def _given(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what files and environment say, by names in small letters; the environment wins."""
    files = (last_assignments(folder / name) for name in FILES)
    given = {name: one.value for found in files for name, one in found.items()}
    return given | {name.lower(): value for name, value in environment.items() if value}


def _environment(
    stack: StackSettings, values: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    notes = []
    settings = Settings()
    added = {
        "CLAUDE_DIR": str(stack.claude_dir),
        "ANNALS_UID": str(_user(stack.claude_dir)),
        "HOST_NAME": values.get("host_name", settings.host_name),
        "TIMEZONE": values.get("timezone", settings.timezone),
        "COMPOSE_IGNORE_ORPHANS": "true",
    }
    if stack.mongo_uri is not None:
        given = stack.mongo_uri.get_secret_value()
        added["MONGO_URI"] = seen_from_inside(given)
        if added["MONGO_URI"] != given:
            notes.append(
                f"MONGO_URI names this machine; inside a container that is the container itself, so"
                f" the stack says {HOST_NAME_INSIDE} instead. The server has to listen on Docker's"
                " bridge, too (net.bindIp), not on 127.0.0.1 alone"
            )
    return added, notes


def seen_from_inside(uri: str) -> str:
    """Return the URI with this machine under the name that containers know it by."""
    found = _AUTHORITY.match(uri)
    if not found:
        return uri
    hosts = [_THIS_MACHINE.sub(HOST_NAME_INSIDE, host) for host in found[2].split(",")]
    return f"{found[1]}{','.join(hosts)}{uri[found.end() :]}"


def _user(transcripts: Path) -> int:
    """Return whom the containers run as: whoever may read the transcripts, but never root."""
    if os.getuid():
        return os.getuid()
    try:
        return transcripts.stat().st_uid or _USER_INSIDE
    except OSError:
        return _USER_INSIDE
