"""What the containers get: exactly the settings that were checked, as a layer for compose.

Compose would read ``.env`` by rules of its own (``$`` begins a variable there, and the environment
does not reach a container). In the layer's JSON every value is literal. It lies below
docker-compose.yml, so that what is fixed there wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from annals.settings.model import Settings
from annals.settings.stack import INSIDE, NOT_INSIDE, Given
from operations.stack.mounts import READERS, as_volumes, extra_mounts

FILE = ".stack.json"
"""It holds passwords where settings do, so it is written as private as they are."""

HOST_NAME_INSIDE = "host.docker.internal"
"""The machine that Docker runs on, as a container calls it."""

PRICES = "/prices.csv"
_TOLD = ("prefect-deploy", "prefect-worker", "sync-agent")
_ADDRESSES = ("mongo_uri", "iceberg_catalog_uri", "s3_endpoint", "notify_url", "outbound_proxy")
_AUTHORITY = re.compile(r"^([a-z][a-z0-9+.-]*://(?:[^@/]*@)?)([^/?]*)", re.IGNORECASE)
_THIS_MACHINE = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(?=:|$)", re.IGNORECASE)


def seen_from_inside(uri: str) -> str:
    """Return the URI with this machine under the name that containers know it by."""
    found = _AUTHORITY.match(uri)
    if not found:
        return uri
    hosts = [_THIS_MACHINE.sub(HOST_NAME_INSIDE, host) for host in found[2].split(",")]
    return f"{found[1]}{','.join(hosts)}{uri[found.end() :]}"


def inside(given: Given) -> tuple[dict[str, str], list[str]]:
    """Return the settings as they hold inside, by variable, and what people get about them."""
    values = {
        name: value for name, value in given.values.items() if name not in {*INSIDE, *NOT_INSIDE}
    }
    notes = []
    for name in _ADDRESSES:
        value = values.get(name, "")
        if (renamed := seen_from_inside(value)) != value:
            values[name] = renamed
            notes.append(
                f"{name.upper()} names this machine; inside a container that is the container"
                f" itself, so the stack says {HOST_NAME_INSIDE} instead. The server has to listen"
                " on Docker's bridge, too (MongoDB: net.bindIp), not on 127.0.0.1 alone"
            )
    if given.settings.prices_csv is not None:
        values["prices_csv"] = PRICES
    return {name.upper(): value for name, value in values.items()}, notes


def layer(given: Given, variables: Mapping[str, str]) -> str:
    """Return the layer that tells each container of ours the ``variables`` that are settings."""
    settings = {name: value for name, value in variables.items() if name.lower() in _SETTINGS}
    services: dict[str, Any] = {
        name: {"environment": {**given.others, **settings}} for name in _TOLD
    }
    if "OUTBOUND_PROXY" in settings:  # it is the server that notifies
        words = ("OUTBOUND_PROXY", "ALLOW_DESTINATIONS")
        told = {name: settings[name] for name in words if name in settings}
        services["prefect-server"] = {"environment": told}
    if given.settings.prices_csv is not None:
        mount = {"type": "bind", "source": str(given.settings.prices_csv), "target": PRICES}
        services["prefect-worker"]["volumes"] = [
            {**mount, "read_only": True, "bind": {"create_host_path": False}}
        ]
    for name in READERS if (folders := extra_mounts(given.stack.claude_dirs)) else ():
        services[name].setdefault("volumes", []).extend(as_volumes(folders))
    # Compose looks for variables in the layer, too; a doubled $ is the sign itself.
    return json.dumps({"services": services}, indent=1).replace("$", "$$") + "\n"


_SETTINGS = frozenset(Settings.model_fields)
