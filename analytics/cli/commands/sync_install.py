"""``annals sync install`` and ``annals sync uninstall``: the agent as a service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import InForce, Uses, in_force
from analytics.cli.options import AsJson, example
from annals.errors import UsageError

if TYPE_CHECKING:
    from sync_agent.agent.installing import Step, Target

Kind = Annotated[
    str, typer.Argument(metavar="MANAGER", help="The service manager: systemd, launchd or pm2.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
System = Annotated[
    bool,
    typer.Option("--system", help="A unit of the system, for machines that no user logs in to."),
]
ForUser = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="With --system: the user it runs as."),
]


def register(app: typer.Typer) -> None:
    """Add the two commands to ``app``."""
    app.command(**example("annals sync install systemd --dry-run"))(install)
    app.command(**example("annals sync uninstall systemd"))(uninstall)


def install(
    context: typer.Context,
    manager: Kind,
    dry_run: DryRun = False,
    system: System = False,
    user: ForUser = None,
    as_json: AsJson = False,
) -> None:
    """Have a service manager run the agent at every start.

    The settings that are in force now and are not defaults go with it, into a file that only you
    may read. To change them, set them and install again.
    """
    from annals.settings.destinations import KINDS
    from sync_agent.agent.installing import install_steps
    from sync_agent.agent.units import service_of

    found = in_force(context, uses=Uses.ALL)
    confirm_destinations(found.configured, *KINDS)
    target = _target(manager, system=system, user=user)
    service = service_of(found.configured, _environment(found), program=sys.executable)
    steps = install_steps(target, service)
    _carry_out(target, steps, dry_run=dry_run, as_json=as_json, done="installed")


def uninstall(
    context: typer.Context,
    manager: Kind,
    dry_run: DryRun = False,
    system: System = False,
    user: ForUser = None,
    as_json: AsJson = False,
) -> None:
    """Stop the agent and remove its service.

    Buffer and settings stay.
    """
    from sync_agent.agent.installing import uninstall_steps

    in_force(context, uses=Uses.REPORTS)
    target = _target(manager, system=system, user=user)
    steps = uninstall_steps(target)
    _carry_out(target, steps, dry_run=dry_run, as_json=as_json, done="uninstalled")


def _target(manager: str, *, system: bool, user: str | None) -> Target:
    from sync_agent.agent.installing import Target
    from sync_agent.agent.units import Manager

    if manager not in tuple(Manager):
        raise UsageError(
            f"{manager!r} is not a service manager that is known here",
            hint="Write systemd, launchd or pm2; without any, run `annals sync run`.",
        )
    if (system or user) and manager != Manager.SYSTEMD:
        raise UsageError(
            "--system and --user are for systemd", hint="Leave them out for launchd and pm2."
        )
    if not system:
        return Target(Manager(manager), Path.home())
    user = user or os.environ.get("SUDO_USER") or ""
    if not user or "/" in user:
        raise UsageError(
            "a unit of the system needs a user to run as",
            hint="Write --system --user NAME.",
        )
    return Target(Manager.SYSTEMD, Path.home(), system_user=user)


def _environment(found: InForce) -> dict[str, str]:
    """Return the settings that are not defaults, secrets included: the file is private."""
    from pydantic import SecretStr

    from annals.settings.destinations import named_places
    from annals.settings.origin import origins
    from annals.settings.roots import CONFIG_DIR

    values = {}
    for name, origin in origins(found.flags).items():
        value = getattr(found.configured, name)
        if origin.kind != "default" and value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            values[name.upper()] = plain
    if os.environ.get(CONFIG_DIR):  # the service does not have it
        values.setdefault("CLAUDE_DIR", str(found.configured.claude_dir))
    if places := named_places(found.configured):
        values["ALLOW_DESTINATIONS"] = places
    return values


def _carry_out(
    target: Target, steps: list[Step], *, dry_run: bool, as_json: bool, done: str
) -> None:
    from analytics.cli.output import print_json, say
    from sync_agent.agent.installing import carry_out, require_tool

    if not dry_run:
        require_tool(target.manager)
        carry_out(target.manager, steps)
    if as_json:
        print_json({"manager": target.manager, "dry_run": dry_run, "steps": _members(steps)})
        return
    for step in steps:
        say(f"{'would ' if dry_run else ''}{step}")
    if not dry_run:
        say(f"{done}; `annals sync status` says how it stands")


def _members(steps: list[Step]) -> list[dict[str, Any]]:
    """Return the steps without the texts of private files, which can hold secrets."""
    from analytics.cli.output import as_members

    found = []
    for step in steps:
        members = as_members(step)
        members["mode"] = f"{step.mode:o}"
        members["path"] = str(step.path) if step.path else None
        if step.mode & 0o077 == 0:
            members["text"] = None
        found.append(members)
    return found
