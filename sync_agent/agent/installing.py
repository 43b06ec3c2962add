"""Putting the agent under a service manager, and taking it away again, as a list of steps.

The list is made first and can be shown instead of carried out. What a service manager says when it
refuses becomes an error with its words and the remedy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annals.errors import DependencyError
from annals.files import make_folder
from annals.process.environments import tool_environment
from sync_agent.agent.units import (
    LABEL,
    TEMPLATE,
    UNIT,
    Manager,
    Service,
    ecosystem_text,
    environment_text,
    plist_text,
    unit_text,
)

_PRIVATE = 0o600
_PUBLIC = 0o644
_TOOLS = {Manager.SYSTEMD: "systemctl", Manager.LAUNCHD: "launchctl", Manager.PM2: "pm2"}
_REMEDIES = {
    Manager.SYSTEMD: "This machine has no systemd: use `annals sync install pm2` (or launchd on"
    " macOS), or have whatever starts your programs run `annals sync run`.",
    Manager.LAUNCHD: "launchd is part of macOS: use `annals sync install systemd` or `pm2` here.",
    Manager.PM2: "Install it (`npm install --global pm2`), or use `annals sync install systemd`.",
}
_REFUSED = {
    Manager.SYSTEMD: "The files are written. Without a login session systemd has no manager for a"
    " user: `loginctl enable-linger` gives it one; or use --system as root.",
    Manager.LAUNCHD: "The file is written; `launchctl print gui/$(id -u)` says what runs.",
    Manager.PM2: "The file is written; `pm2 logs annals-sync` says more.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: ``make`` a folder, ``write`` a file, ``remove`` one, or ``run`` a program.

    ``may_fail`` is for what may be undone already.
    """

    action: str
    path: Path | None = None
    text: str = ""
    mode: int = _PUBLIC
    command: tuple[str, ...] = ()
    may_fail: bool = False

    def __str__(self) -> str:
        if self.action == "run":
            return " ".join(self.command)
        mode = f" (mode {self.mode:o})" if self.action == "write" else ""
        return f"{self.action} {self.path}{mode}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: a service manager and, for a unit of the system, the user to run as."""

    manager: Manager
    home: Path
    system_user: str | None = None

    @property
    def file(self) -> Path:
        """The file that the service manager reads."""
        if self.manager is Manager.LAUNCHD:
            return self.home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        if self.manager is Manager.PM2:
            return self.home / ".config" / "annals" / "ecosystem.config.js"
        if self.system_user:
            return Path("/etc/systemd/system") / TEMPLATE
        return self.home / ".config" / "systemd" / "user" / UNIT

    @property
    def environment_file(self) -> Path:
        """The file of settings that a systemd unit reads."""
        if self.system_user:
            return Path("/etc/annals") / f"{self.system_user}.env"
        return self.home / ".config" / "annals" / "sync.env"

    @property
    def unit(self) -> str:
        """The name under which systemd knows the service."""
        return TEMPLATE.replace("@", f"@{self.system_user}") if self.system_user else UNIT

    def run_systemctl(self, *arguments: str) -> tuple[str, ...]:
        """Return a call of systemd's own command."""
        return ("systemctl", *(() if self.system_user else ("--user",)), *arguments)


def install_steps(target: Target, service: Service) -> list[Step]:
    """Return what installs and starts the agent; doing it twice leads to the same."""
    folders = [] if target.system_user else [Step("make", path) for path in service.writes]
    steps = {
        Manager.SYSTEMD: _systemd_steps,
        Manager.LAUNCHD: _launchd_steps,
        Manager.PM2: _pm2_steps,
    }
    return [*folders, *steps[target.manager](target, service)]


def uninstall_steps(target: Target) -> list[Step]:
    """Return what stops the agent and removes its service; buffer and settings stay."""
    remove = Step("remove", target.file)
    if target.manager is Manager.LAUNCHD:
        return [_run("launchctl", "bootout", f"{_domain()}/{LABEL}", may_fail=True), remove]
    if target.manager is Manager.PM2:
        return [
            _run("pm2", "delete", "annals-sync", may_fail=True),
            _run("pm2", "save", "--force", may_fail=True),
            remove,
        ]
    disable = _run(*target.run_systemctl("disable", "--now", target.unit), may_fail=True)
    reload = _run(*target.run_systemctl("daemon-reload"), may_fail=True)
    # The template stays: it may be another user's, too.
    return [disable, reload] if target.system_user else [disable, remove, reload]


def require_tool(manager: Manager) -> None:
    """Raise DependencyError (exit 4) where the service manager is not on this machine."""
    tool = _TOOLS[manager]
    if shutil.which(tool) is None:
        raise DependencyError(f"{tool} is not on this machine", hint=_REMEDIES[manager], tool=tool)


def carry_out(manager: Manager, steps: list[Step]) -> None:
    """Do every step; raise DependencyError where the service manager refuses one."""
    for step in steps:
        if step.action == "make" and step.path:
            make_folder(step.path, named=True)
        elif step.action == "write" and step.path:
            _write(step.path, step.text, step.mode)
        elif step.action == "remove" and step.path:
            step.path.unlink(missing_ok=True)
        else:
            _start(manager, step)


@dataclass(frozen=True, slots=True)
class Installed:
    """A service of the agent that is installed here; ``enabled`` is None if nobody can tell."""

    manager: Manager
    file: Path
    enabled: bool | None


def installed(home: Path) -> Iterator[Installed]:
    """Yield what is installed for the user of ``home``."""
    for manager in Manager:
        target = Target(manager, home)
        if target.file.exists():
            yield Installed(manager, target.file, _is_enabled(target))
    if Path("/etc/systemd/system", TEMPLATE).exists():
        yield Installed(Manager.SYSTEMD, Path("/etc/systemd/system", TEMPLATE), None)


def _systemd_steps(target: Target, service: Service) -> Iterator[Step]:
    text = unit_text(service, template=bool(target.system_user))
    yield Step("write", target.environment_file, environment_text(service), _PRIVATE)
    yield Step("write", target.file, text, _PUBLIC if target.system_user else _PRIVATE)
    yield _run(*target.run_systemctl("daemon-reload"))
    yield _run(*target.run_systemctl("enable", target.unit))
    yield _run(*target.run_systemctl("restart", target.unit))


def _launchd_steps(target: Target, service: Service) -> Iterator[Step]:
    log = target.home / "Library" / "Logs" / "annals-sync.log"
    yield Step("make", log.parent)
    yield Step("write", target.file, plist_text(service, log=log), _PRIVATE)
    yield _run("launchctl", "bootout", f"{_domain()}/{LABEL}", may_fail=True)
    yield _run("launchctl", "bootstrap", _domain(), str(target.file))


def _pm2_steps(target: Target, service: Service) -> Iterator[Step]:
    yield Step("write", target.file, ecosystem_text(service), _PRIVATE)
    yield _run("pm2", "startOrRestart", str(target.file), "--update-env")
    yield _run("pm2", "save")


def _run(*command: str, may_fail: bool = False) -> Step:
    return Step("run", command=command, may_fail=may_fail)


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file at once, with its mode from the beginning."""
    make_folder(path.parent, named=True)
    half = path.with_name(f".{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    half.chmod(mode)
    half.replace(path)


def _start(manager: Manager, step: Step) -> None:
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command and names of our own
            step.command,
            env=tool_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(
            f"`{step}` cannot be run: {error}", hint=_REMEDIES[manager]
        ) from error
    if done.returncode and not step.may_fail:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise DependencyError(f"`{step}` was refused: {said}", hint=_REFUSED[manager])


def _is_enabled(target: Target) -> bool | None:
    if target.manager is not Manager.SYSTEMD or shutil.which("systemctl") is None:
        return None
    done = subprocess.run(  # noqa: S603 -- a fixed command
        target.run_systemctl("is-enabled", target.unit),
        env=tool_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    said = done.stdout.strip()
    return said == "enabled" if said else None
