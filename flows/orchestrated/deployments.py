"""The work pool, the deployments of prefect.yaml and the automations, put on the server.

Doing it again changes nothing but what has changed: all of them are found by their names.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from analytics.errors import SettingsError
from analytics.settings import Settings
from flows.orchestrated import automations
from flows.orchestrated.worker import POOL

DEPLOYMENTS = Path(__file__).resolve().parents[2] / "prefect.yaml"
"""Beside the packages, in a checkout and where the code is installed alike."""


def deploy(settings: Settings) -> Iterator[str]:
    """Put everything on the server at PREFECT_API_URL, and yield a line about each part.

    Raises SettingsError (exit 3) where prefect.yaml or a setting is wrong.
    """
    with get_client(sync_client=True) as client:
        yield _pool(client)
        _deployments()
        for found in client.read_deployments():
            if found.work_pool_name == POOL:
                yield f"deployment: {found.name}"
        yield from automations.apply(client, settings)


def _pool(client: SyncPrefectClient) -> str:
    """Make the pool where there is none; one that somebody changed stays as it is."""
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=POOL,
                type=ProcessWorker.type,
                description="Runs of Annals, as processes of a worker that stays warm.",
                base_job_template=ProcessWorker.get_default_base_job_template(),
            )
        )
        return f"work pool created: {POOL}"
    return f"work pool unchanged: {POOL}"


def _deployments() -> None:
    """Let Prefect's own command read prefect.yaml: it knows every key of it."""
    done = subprocess.run(  # noqa: S603 - this very Python, and arguments of our own
        [
            *(sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"),
            *("--prefect-file", str(DEPLOYMENTS)),
        ],
        cwd=DEPLOYMENTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SettingsError(
            f"Prefect refuses prefect.yaml: {(done.stderr or done.stdout).strip()[-600:]}",
            hint="Correct prefect.yaml; docs/flows.md says what each deployment is for.",
        )
