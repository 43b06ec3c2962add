"""The work pool, the deployments of prefect.yaml and the automations, put on the server.

Doing it again changes nothing but what has changed: all of them are found by their names.
"""

from __future__ import annotations

import json
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from annals.errors import DependencyError, SettingsError, UsageError
from annals.prefect_api import client_variables
from annals.process.environments import child_environment, module_command
from annals.settings import Settings
from flows.prefect import automations
from flows.prefect.parameters import DEPLOYMENTS, check, closed
from flows.prefect.run_variables import job_template
from flows.prefect.worker import POOL


def deploy(settings: Settings) -> Iterator[str]:
    """Put everything on the server at PREFECT_API_URL, and yield a line about each part.

    Raises SettingsError (exit 3) where prefect.yaml or a setting is wrong.
    """
    with get_client(sync_client=True) as client:
        yield _pool(client, settings)
        if not _are_current(client):
            _deployments(settings)
            _require_current(client)
        for found in client.read_deployments():
            if found.work_pool_name == POOL:
                _close(client, found)
                yield f"deployment: {found.name}"
        yield from automations.apply(client, settings)


def _pool(client: SyncPrefectClient, settings: Settings) -> str:
    """Make the pool, or give the one that is there our template: it says what a run may carry."""
    wanted = job_template(settings)
    try:
        found = client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=POOL,
                type=ProcessWorker.type,
                description="Runs of Annals, as processes of a worker that stays warm.",
                base_job_template=wanted,
            )
        )
        return f"work pool created: {POOL}"
    if found.base_job_template == wanted:
        return f"work pool unchanged: {POOL}"
    client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=wanted))
    return f"work pool updated: {POOL}"


def _close(client: SyncPrefectClient, found: DeploymentResponse) -> None:
    """Let the server refuse a run with a parameter that the flow does not know.

    One whose schema is closed already, and that has no variables of its own, is left alone: a
    change would delete its scheduled runs.
    """
    wanted = closed(found.parameter_openapi_schema or {})
    if wanted != found.parameter_openapi_schema or found.job_variables:
        change = DeploymentUpdate(parameter_openapi_schema=wanted, job_variables={})
        client.update_deployment(found.id, change)


def _version() -> str:
    """Return what tells this prefect.yaml from others: a hash of its text."""
    return blake2b(DEPLOYMENTS.read_bytes(), digest_size=8).hexdigest()


def _are_current(client: SyncPrefectClient) -> bool:
    """Return whether the server has every deployment as this prefect.yaml says.

    They are left alone then: to deploy again would delete the runs that are scheduled. A version
    proves no code: others may have changed what a deployment names.
    """
    written = yaml.safe_load(DEPLOYMENTS.read_bytes())["deployments"]
    wanted = {(one["name"], one["entrypoint"], POOL, _version()) for one in written}
    found = {
        (one.name, one.entrypoint, one.work_pool_name, one.version)
        for one in client.read_deployments()
        if not one.pull_steps and not one.storage_document_id
    }
    return wanted <= found


def _require_current(client: SyncPrefectClient) -> None:
    """Raise DependencyError if the server lacks a deployment that Prefect's command should make."""
    if not _are_current(client):
        raise DependencyError(
            "Prefect's command ended without an error, and the server does not have every"
            " deployment of prefect.yaml",
            hint="Run `make deploy` again; `prefect deployment ls` lists what there is.",
        )


def _deployments(settings: Settings) -> None:
    """Let Prefect's own command read prefect.yaml: it knows every key of it."""
    done = subprocess.run(  # noqa: S603 - this very Python, and arguments of our own
        [
            *module_command("prefect", "--no-prompt", "deploy", "--all"),
            *("--prefect-file", str(DEPLOYMENTS)),
        ],
        cwd=DEPLOYMENTS.parent,
        env=child_environment({"ANNALS_DEPLOYED": _version(), **client_variables(settings)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SettingsError(
            f"Prefect refuses prefect.yaml: {(done.stderr or done.stdout).strip()[-600:]}",
            hint="Correct prefect.yaml; docs/flows.md says what each deployment is for.",
        )


def check_run(name: str, *options: str) -> None:
    """Check what a run is asked for: ``FLOW/DEPLOYMENT`` and ``--param NAME=VALUE``, as written.

    Raises UsageError (exit 2) that names what there is not, and what there is.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-p", "--param", action="append", default=[])
    written = parser.parse_known_args(options)[0].param
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(name)
        except (ObjectNotFound, ValueError) as error:
            known = sorted(one.name for one in client.read_deployments())
            raise UsageError(
                f"there is no deployment {name}",
                hint=f"Run `make deploy`, or name one of these with its flow: {', '.join(known)}.",
            ) from error
    check(found, {key: _value(text) for key, _, text in (one.partition("=") for one in written)})


def _value(text: str) -> Any:
    """Return a value as Prefect's command reads it: JSON, and else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
