"""How the stack is: each service's health, and what the pipeline says of itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from operations.stack.plan import Plan

_SECONDS = 120
_UP = "running"


@dataclass(frozen=True, slots=True)
class Service:
    """A service as Docker sees it; ``state`` is its own word, ``missing`` where there is none."""

    name: str
    state: str
    health: str
    note: str

    @property
    def is_well(self) -> bool:
        """Whether it runs, and its health check says nothing else."""
        return self.state == _UP and self.health in ("", "healthy")


def services(plan: Plan) -> list[Service]:
    """Return every service of the plan, in its order, and others of the stack that still run."""
    said = _call(plan, "ps", "--all", "--format", "json")
    found = {one.name: one for one in _parsed(said)}
    known = [found.pop(name, Service(name, "missing", "", "")) for name in plan.services]
    return [*known, *(one for one in found.values() if one.state == _UP)]


def pipeline(plan: Plan) -> str:
    """Return the pipeline's own status: last run, what waits, who is active."""
    status = ("python", "-m", "analytics.cli", "status")
    said = _call(plan, "exec", "--no-TTY", "prefect-worker", *status)
    return said or "the worker does not answer; `make logs` says why\n"


def _parsed(text: str) -> Iterator[Service]:
    """Yield what each line says; older versions of compose write one list instead of lines."""
    for line in text.splitlines():
        members = json.loads(line) if line.startswith(("{", "[")) else []
        for one in members if isinstance(members, list) else [members]:
            state = str(one.get("State", ""))
            yield Service(
                str(one.get("Service", "")),
                state,
                str(one.get("Health", "")),
                f"exit code {one.get('ExitCode')}" if state == "exited" else "",
            )


def _call(plan: Plan, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command
            (*plan.command, *arguments),
            env=dict(plan.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
