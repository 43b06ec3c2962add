"""The services: how each is started, where it answers, and what has to be there before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from annals.guard import is_loopback
from annals.locks import held_by
from annals.prefect_api import find_login, make_login
from annals.process.environments import child_environment
from annals.process.environments import module_command as _python
from annals.settings import Settings
from annals.settings.passing import as_environment
from operations.services.asking import Answer, Heartbeats, ask, ask_agent, is_ours, is_prefect

_AT_REST = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "30",
    "PREFECT_WORKER_QUERY_SECONDS": "10",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT15S",
}
"""Loops of the server that tidy up, slower than its defaults: they are half of what it costs at
rest."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process. ``after`` names what must be healthy before it is started.

    ``ask`` asks how it is; after ``patience`` seconds without a sign of life it is started again,
    after ``stop_seconds`` without an end it is killed. One without ``ask`` is work that is done
    when it ends with exit code 0: nothing else says so.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    address: str
    ask: Callable[[], Answer] | None
    port: int | None = None
    after: tuple[str, ...] = ()
    patience: float = 45.0
    stop_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Platform:
    """What is to run; ``elsewhere`` says of a service who runs it already."""

    services: tuple[Service, ...]
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def platform_of(settings: Settings) -> Platform:
    """Return the services for these settings.

    A Prefect server on another machine (PREFECT_API_URL) is used and not started, an agent that
    runs already as a service of the system is left to it.
    """
    api = settings.prefect_api
    environment = environment_of(settings, api)
    holder = held_by(settings.buffer_lock)
    is_ours = is_loopback(urlsplit(api).hostname or "")
    if is_ours:
        make_login(settings)  # before anything asks with it
    services = (
        *(() if holder else (_agent(settings, environment),)),
        *((_server(api, environment),) if is_ours else ()),
        _deployments(environment, ("prefect",) if is_ours else ()),
        _worker(settings, api, environment, ("prefect",) if is_ours else ()),
        _docs(settings, environment),
    )
    elsewhere = {"agent": str(holder)} if holder else {}
    return Platform(services, elsewhere if is_ours else {**elsewhere, "prefect": api})


def prefect_home(settings: Settings) -> Path:
    """Return Prefect's own folder: never the user's."""
    return settings.annals_home / "prefect"


def environment_of(settings: Settings, api: str) -> dict[str, str]:
    """Return the environment of every service: ours, our settings, Prefect's without telemetry."""
    return {
        **child_environment(),
        **_AT_REST,
        **as_environment(settings),
        "PREFECT_HOME": str(prefect_home(settings)),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
            f"sqlite+aiosqlite:///{prefect_home(settings)}/prefect.db"
        ),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _agent(settings: Settings, environment: Mapping[str, str]) -> Service:
    own = dict(environment)
    if "pipeline_trigger" not in settings.model_fields_set:
        own["PIPELINE_TRIGGER"] = "prefect"
    host, port = settings.health_host, settings.health_port
    url = f"http://{host}:{port}"
    return Service(
        name="agent",
        command=_python("analytics.cli", "sync", "run"),
        environment=own,
        address=f"{url}/health" if port else "",
        ask=lambda: ask_agent(f"{url}/health") if port else Answer.HEALTHY,
        port=port or None,
        patience=60.0,
        stop_seconds=settings.shutdown_timeout_s + 5,
    )


def _server(api: str, environment: Mapping[str, str]) -> Service:
    place = urlsplit(api)
    port = place.port or 4200
    host = "127.0.0.1" if place.hostname == "localhost" else str(place.hostname)
    return Service(
        name="prefect",
        command=_python("flows.prefect", "server", "--host", host, "--port", str(port)),
        environment=environment,
        address=api.removesuffix("/api"),
        ask=lambda: ask(f"{api}/health", is_prefect),
        port=port,
        patience=90.0,
    )


def _deployments(environment: Mapping[str, str], after: tuple[str, ...]) -> Service:
    return Service(
        name="deploy",
        command=_python("flows.prefect", "deploy"),
        environment=environment,
        address="",
        ask=None,
        after=after,
    )


def _worker(
    settings: Settings, api: str, environment: Mapping[str, str], after: tuple[str, ...]
) -> Service:
    name = "up-" + re.sub(r"[^\w.-]", "-", settings.host_name)
    return Service(
        name="worker",
        command=_python("flows.prefect", "worker", name),
        environment=environment,
        address="",
        ask=Heartbeats(api, name, login=find_login(settings)).ask,
        after=after,  # it imports while `deploy` works, and waits for the pool by itself
    )


def _docs(settings: Settings, environment: Mapping[str, str]) -> Service:
    place = urlsplit(settings.dbt_docs_url)
    port = place.port or 8686
    return Service(
        name="docs",
        command=_python("operations.dbt_docs", "--host", "127.0.0.1", "--port", str(port)),
        environment=environment,
        address=f"http://127.0.0.1:{port}",
        ask=lambda: ask(f"http://127.0.0.1:{port}/", is_ours, "HEAD"),
        port=port,
    )
