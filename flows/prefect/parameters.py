"""What a run of a deployment may be asked, and the words for what it may not.

Prefect checks the types of parameters when a run is asked for, and lets names pass that no flow
knows: such a run would crash. So the schemas of our deployments are closed, and what comes past the
check (a run may ask for none) is looked at again before it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse
from prefect.utilities.schema_tools import validate

from annals.errors import UsageError
from annals.resources import resource

DEPLOYMENTS = resource("prefect.yaml")
"""The file that declares every deployment."""


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of parameters, with no other names allowed than those it has."""
    return {**schema, "additionalProperties": False}


def check(deployment: DeploymentResponse, given: Mapping[str, Any]) -> None:
    """Raise UsageError (exit 2) that names each parameter that cannot be, and those that can."""
    schema = closed(deployment.parameter_openapi_schema or {"type": "object"})
    faults = list(_faults(given, schema))
    if faults:
        known = ", ".join(schema.get("properties", {})) or "none"
        raise UsageError(
            f"{deployment.name} cannot run with these parameters: {'; '.join(faults)}",
            hint=f"Its parameters are: {known}. docs/flows.md says what each of them takes.",
        )


def _faults(given: Mapping[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"there is no `{name}`" for name in given if name not in known)
    kept = {name: value for name, value in given.items() if name in known}
    for fault in validate(kept, schema, ignore_required=True):
        yield f"`{'.'.join(map(str, fault.path))}`: {fault.message}"
