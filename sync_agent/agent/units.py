"""The files that make a service manager run the agent.

They are those of deploy/, with the paths and settings of this machine in them.
"""

from __future__ import annotations

import json
import plistlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from annals.errors import SettingsError
from annals.resources import resource
from annals.settings import Settings

DEPLOY = resource("deploy")
"""The files as shipped."""

UNIT = "annals-sync.service"
TEMPLATE = "annals-sync@.service"
LABEL = "io.annals.sync"
_PLAIN = re.compile(r"[\w@%+=:,./-]+")


class Manager(StrEnum):
    """Who can run the agent."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    PM2 = "pm2"


@dataclass(frozen=True, slots=True)
class Service:
    """The agent as it is to be run.

    ``environment`` has the settings that are not defaults, ``writes`` the folders it writes to.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    writes: tuple[Path, ...]


def service_of(settings: Settings, environment: Mapping[str, str], *, program: str) -> Service:
    """Return the agent with these settings; ``program`` is the interpreter that has Annals."""
    writes = {settings.sqlite_path.parent, settings.annals_home}
    if settings.log_file is not None:
        writes.add(settings.log_file.parent)
    command = (program, "-P", "-m", "analytics.cli", "sync", "run")  # -P: no foreign packages
    return Service(command, dict(environment), tuple(sorted(writes)))


def unit_text(service: Service, *, template: bool = False) -> str:
    """Return the systemd unit of a user or, as ``template``, the one of the system."""
    text = _shipped(f"systemd/{TEMPLATE if template else UNIT}")
    text = _with_line(text, "ExecStart", " ".join(_quoted(word) for word in service.command))
    if template:
        return text  # each instance has the folders of its own user
    folders = " ".join(_quoted(f"-{folder}") for folder in service.writes)
    return _with_line(text, "ReadWritePaths", folders)


def environment_text(service: Service) -> str:
    """Return the file of environment variables that a unit reads; it can hold secrets."""
    lines = (f"{name}={_value(value)}\n" for name, value in sorted(service.environment.items()))
    return "# Settings of the sync agent; read at its start.\n" + "".join(lines)


def ecosystem_text(service: Service) -> str:
    """Return the pm2 file; it holds the settings, which can be secret."""
    text = _shipped("pm2/ecosystem.config.js")
    text = _with_constant(text, "command", json.dumps(list(service.command)))
    return _with_constant(text, "environment", json.dumps(dict(service.environment)))


def plist_text(service: Service, *, log: Path) -> str:
    """Return the launchd file; it holds the settings, which can be secret."""
    job = plistlib.loads(_shipped(f"launchd/{LABEL}.plist").encode())
    job["ProgramArguments"] = list(service.command)
    job["EnvironmentVariables"] = dict(service.environment)
    job["StandardErrorPath"] = job["StandardOutPath"] = str(log)
    return plistlib.dumps(job).decode()


def _shipped(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def _with_line(text: str, key: str, value: str) -> str:
    """Return a unit with another value for ``key``, which is in it once."""
    return re.sub(rf"(?m)^{key}=.*$", lambda _: f"{key}={value}", text, count=1)


def _with_constant(text: str, name: str, value: str) -> str:
    return re.sub(rf"(?m)^const {name} = .*$", lambda _: f"const {name} = {value};", text, count=1)


def _quoted(word: str) -> str:
    """Return a word of a unit's line; systemd expands ``%`` and ``$`` in it unless doubled."""
    word = word.replace("%", "%%").replace("$", "$$")
    _refuse_newline(word)
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(value: str) -> str:
    """Return a value of an environment file, quoted as a shell does."""
    _refuse_newline(value)
    return value if _PLAIN.fullmatch(value) else shlex.quote(value)


def _refuse_newline(text: str) -> None:
    if "\n" in text or "\0" in text:
        raise SettingsError(
            "a path or setting with a line break cannot be written into a service's file",
            hint="Choose a path without line breaks.",
        )
