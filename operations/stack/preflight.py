"""Checks of the machine, before the stack is started."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.doctor.findings import Finding, broken, doubtful, fine
from operations.stack.mounts import linked_projects, refusal_of
from operations.stack.passwords import FILE as PASSWORDS_FILE
from operations.stack.plan import PORTS, Plan

GIB = 1024**3
LEAST_MEMORY = 2 * GIB
ENOUGH_MEMORY = 6 * GIB
LEAST_DISK = 2 * GIB
ENOUGH_DISK = 10 * GIB
WITHOUT = "`make up-local` runs the same without Docker."

LEAST_COMPOSE = (2, 24)
"""The first version with all that docker-compose.yml asks for: ``depends_on`` with ``required``."""

_READABLE = 0o444
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Engine:
    """What Docker says of itself: bytes of memory, bytes free where it keeps images and volumes."""

    memory: int
    disk_free: int
    place: str


def engine(environment: Mapping[str, str]) -> Engine | Finding:
    """Ask Docker; return the finding that says why it cannot be used where it cannot."""
    if shutil.which("docker", path=environment.get("PATH")) is None:
        remedy = f"Install Docker Engine with its compose plugin. {WITHOUT}"
        return broken("docker", "Docker is not installed here", remedy=remedy)
    said = _run(("docker", "compose", "version", "--short"), environment)
    if said.returncode or _is_old(said.stdout):
        remedy = f"Install the compose plugin (docker-compose-plugin, 2.24 or newer). {WITHOUT}"
        says = f"Docker has no `docker compose` that is new enough: {said.stdout.strip() or 'none'}"
        return broken("docker", says, remedy=remedy)
    said = _run(("docker", "info", "--format", "{{json .}}"), environment)
    try:
        info = json.loads(said.stdout)
        memory, root = int(info["MemTotal"]), str(info["DockerRootDir"])
    except (ValueError, KeyError, TypeError):
        why = (said.stderr.strip().splitlines() or ["it says nothing"])[-1]
        remedy = f"Start it (`sudo systemctl start docker`, or Docker Desktop). {WITHOUT}"
        return broken("docker", f"Docker's engine does not answer: {why}", remedy=remedy)
    # Where the engine is a virtual machine its folder is not here; this one's disk says something.
    place = root if os.access(root, os.X_OK) else str(Path.cwd())
    return Engine(memory, shutil.disk_usage(place).free, place)


def _is_old(version: str) -> bool:
    found = re.match(r"v?(\d+)\.(\d+)", version.strip())
    return found is not None and (int(found[1]), int(found[2])) < LEAST_COMPOSE


def running(plan: Plan) -> frozenset[str]:
    """Return the services of the stack that run already: their ports are taken by themselves."""
    said = _run((*plan.command, "ps", "--services", "--status", "running"), plan.environment)
    return frozenset(said.stdout.split()) if said.returncode == 0 else frozenset()


def examine(
    plan: Plan, found: Engine, folder: Path, at_work: frozenset[str] = frozenset()
) -> list[Finding]:
    """Return what every check of this machine found.

    ``folder`` is the checkout, ``at_work`` are the services that run already.
    """
    return [
        *_memory(found),
        *_disk(found),
        *_ports(plan, at_work),
        *_transcripts(plan),
        *_files(folder),
    ]


def lost_passwords(folder: Path, plan: Plan) -> list[Finding]:
    """Return whether volumes are there whose passwords are not."""
    if (folder / PASSWORDS_FILE).exists() or "mongodb" not in plan.profiles:
        return []
    said = _run(("docker", "volume", "inspect", "annals_mongodb"), plan.environment)
    if said.returncode:
        return []
    remedy = (
        f"Restore {PASSWORDS_FILE} from your backup. Without it: `docker volume rm annals_mongodb`"
        " and start again; agents ship what their buffers and transcripts still have."
    )
    says = f"MongoDB's volume is there, and {PASSWORDS_FILE} with its passwords is not"
    return [broken("passwords", says, remedy=remedy)]


def _memory(found: Engine) -> list[Finding]:
    says = f"Docker may use {found.memory / GIB:.1f} GiB"
    if found.memory < LEAST_MEMORY:
        remedy = f"Give it at least {ENOUGH_MEMORY // GIB} GiB. {WITHOUT}"
        return [broken("memory", says, remedy=remedy)]
    if found.memory < ENOUGH_MEMORY:
        remedy = f"Give it {ENOUGH_MEMORY // GIB} GiB, or leave Metabase and further parts out."
        return [doubtful("memory", says, remedy=remedy)]
    return [fine("memory", says)]


def _disk(found: Engine) -> list[Finding]:
    says = f"{found.disk_free / GIB:.1f} GiB free at {found.place}"
    if found.disk_free < LEAST_DISK:
        remedy = "Free some space: `docker system df` says what takes it."
        return [broken("disk", says, remedy=remedy)]
    if found.disk_free < ENOUGH_DISK:
        remedy = f"The images need some {ENOUGH_DISK // GIB} GiB where they are built."
        return [doubtful("disk", says, remedy=remedy)]
    return [fine("disk", says)]


def _ports(plan: Plan, at_work: frozenset[str]) -> Iterator[Finding]:
    wanted = {name: port for name, port in plan.ports.items() if name not in at_work}
    twice = _twice(list(wanted.values()))
    for name, port in wanted.items():
        setting = PORTS[name].upper()
        if port in twice:
            says = f"{setting}={port}, and another part of the stack has that port, too"
        elif why := _taken(port):
            says = f"port {port} of {name} cannot be had: {why}"
        else:
            continue
        remedy = f"Stop what uses it, or set {setting} in .env.analytics to another port."
        yield broken("ports", says, remedy=remedy)


def _twice(ports: Sequence[int]) -> set[int]:
    return {port for port in ports if ports.count(port) > 1}


def _taken(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _transcripts(plan: Plan) -> list[Finding]:
    roots = plan.stack.claude_dirs
    return [*map(_root, roots), *_links(roots)]


def _root(root: Path) -> Finding:
    if not root.is_dir():
        remedy = "Set CLAUDE_DIR in .env.analytics to the folder that holds the project folders."
        return broken("transcripts", f"there is no folder {root}", remedy=remedy)
    if not os.access(root, os.R_OK | os.X_OK):
        remedy = "Give this user the right (chmod -R u+rX)."
        return broken("transcripts", f"{root} may not be read", remedy=remedy)
    return fine("transcripts", f"{root} can be read")


def _links(roots: Sequence[Path]) -> Iterator[Finding]:
    """Yield what becomes of each project folder that is a link: mounted, or refused by name."""
    for link in linked_projects(roots):
        why = refusal_of(link, roots)
        if why is None:
            yield fine("transcripts", f"{link.path} leads to {link.target}, which is mounted, too")
        else:
            says = f"{link.path} leads to {link.target}, which {why}, and is not mounted"
            yield doubtful("transcripts", says, remedy="Restore the target or remove the link.")


def _files(folder: Path) -> list[Finding]:
    """Return whether containers, which are other users, may read the files mounted into them."""
    closed = [
        path.relative_to(folder)
        for path in (folder / "deploy").rglob("*")
        if path.stat().st_mode & _READABLE != _READABLE and path.is_file()
    ]
    if not closed:
        return []
    says = f"{closed[0]} can be read by its owner alone, and containers are other users"
    return [broken("files", says, remedy="chmod -R go+rX deploy")]


def _run(
    command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 -- a fixed command
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
