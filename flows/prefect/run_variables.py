"""What a flow run may carry beside its parameters: a few settings, and nothing that is executed.

Anyone who may ask the server for runs could otherwise name a command, a folder, or variables that
make Python or a library load something else, and the worker's environment holds every secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.process import ProcessJobConfiguration
from pydantic import PrivateAttr

from annals.errors import AnalyticsError, SettingsError, UsageError
from annals.settings import Settings
from flows.prefect.parameters import DEPLOYMENTS, check

_ENV = "env"
_LONGEST = 1_000


def known_variables(settings: Settings) -> frozenset[str]:
    """Return the variables that a run may set.

    Raises SettingsError (exit 3) where RUN_VARIABLES names what is not a setting.
    """
    names = settings.runs_may_set
    unknown = sorted(name for name in names if name.lower() not in Settings.model_fields)
    if unknown or any(name != name.upper() for name in names):
        raise SettingsError(
            f"RUN_VARIABLES names what is not a setting: {', '.join(unknown or sorted(names))}",
            hint="Name settings in capitals, with commas between them.",
        )
    return names


def job_template(settings: Settings) -> dict[str, Any]:
    """Return the template of the work pool: closed, without a command, ``env`` by an allow list."""
    variables = {name: {"type": "string"} for name in sorted(known_variables(settings))}
    env = {
        "title": "Environment Variables",
        "description": "Settings for this run alone (RUN_VARIABLES says which).",
        "type": "object",
        "properties": variables,
        "additionalProperties": False,
    }
    return {
        "job_configuration": {_ENV: "{{ env }}"},
        "variables": {
            "type": "object",
            "properties": {_ENV: env},
            "additionalProperties": False,
        },
    }


def list_entrypoints() -> frozenset[str]:
    """Return the flows that prefect.yaml deploys: a worker of ours runs no other code."""
    found = yaml.safe_load(DEPLOYMENTS.read_bytes())["deployments"]
    return frozenset(one["entrypoint"] for one in found)


def run_environment(
    deployment: DeploymentResponse | None, flow_run: FlowRun, known: frozenset[str]
) -> dict[str, str]:
    """Return the variables of a run; raise UsageError (exit 2) for whatever else it carries."""
    if deployment is None:
        raise _refused("it belongs to no deployment")
    faults = [*_foreign_code(deployment)]
    found: dict[str, str] = {}
    for given in (deployment.job_variables or {}, flow_run.job_variables or {}):
        faults += [*_foreign_variables(given, known)]
        env = given.get(_ENV) or {}
        found |= {str(name): str(env[name]) for name in env} if isinstance(env, Mapping) else {}
    if faults:
        raise _refused("; ".join(dict.fromkeys(faults)))
    if flow_run.parameters:
        check(deployment, flow_run.parameters)
    return found


def _foreign_code(deployment: DeploymentResponse) -> Iterator[str]:
    if deployment.entrypoint not in list_entrypoints():
        yield f"its deployment names code that is not ours: {str(deployment.entrypoint)[:80]!r}"
    if deployment.pull_steps:
        yield "its deployment has pull steps"
    if deployment.storage_document_id:
        yield "its deployment loads code from a storage"


def _foreign_variables(given: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    yield from (f"job variable `{str(name)[:80]}`" for name in given if name != _ENV)
    env = given.get(_ENV)
    if env is None:
        return
    if not isinstance(env, Mapping):
        yield "job variable `env` that is not a table"
        return
    for name, value in env.items():
        if name not in known:
            yield f"variable `{str(name)[:80]}`"
        elif not isinstance(value, str | int | float) or len(str(value)) > _LONGEST:
            yield f"value of variable `{name}` that is not a short text"


def _refused(why: str) -> UsageError:
    return UsageError(
        f"this run is refused, and nothing of it was executed: {why}",
        hint="A run may carry parameters, and as job variable `env` the settings that RUN_VARIABLES"
        " of the worker names; `make deploy` restores our deployments (docs/flows.md).",
    )


class RunConfiguration(ProcessJobConfiguration):
    """The configuration of a run: its own variables, whatever the server's template says."""

    _refusal: AnalyticsError | None = PrivateAttr(None)

    @property
    def refusal(self) -> AnalyticsError | None:
        """Why the run must not be executed; None where it may."""
        return self._refusal

    @classmethod
    async def resolve_for_flow_run(
        cls,
        flow_run: FlowRun,
        *,
        client: PrefectClient,
        work_pool: Any,
        worker_name: str,
        worker_id: Any = None,
        deployment: DeploymentResponse | None = None,
    ) -> RunConfiguration:
        """Return the configuration; a run that carries too much gets one that says so."""
        from annals.settings import load_settings

        if deployment is None and flow_run.deployment_id is not None:
            deployment = await client.read_deployment(flow_run.deployment_id)
        refusal, environment = None, {}
        try:
            known = known_variables(load_settings())
            environment = run_environment(deployment, flow_run, known)
        except AnalyticsError as error:
            refusal = error
        configuration = cls(env=dict(environment))
        configuration._refusal = refusal
        flow = await client.read_flow(flow_run.flow_id)
        configuration.prepare_for_flow_run(
            flow_run, deployment, flow, work_pool, worker_name, worker_id=worker_id
        )
        return configuration
