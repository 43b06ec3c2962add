"""The files for service managers, checked by the programs that read them."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from annals.errors import SettingsError
from annals.settings import load_settings
from sync_agent.agent.units import (
    DEPLOY,
    TEMPLATE,
    UNIT,
    Service,
    ecosystem_text,
    environment_text,
    plist_text,
    service_of,
    unit_text,
)

HARDENED = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "MemoryMax=400M",
    "WatchdogSec=60",
    "Type=notify",
    "UMask=0077",
)
ODD = Service(
    ("/bin/sh", "-c", 'true "a b" $HOME 100% \\', "sync", "run"),
    {"MONGO_URI": "mongodb://me:p'a\"ss word$@host/?x=1", "BATCH_SIZE": "7", "HOST_NAME": "a b"},
    (Path("/home/ada/a b"), Path("/home/ada/100%")),
)


def _tool(name: str) -> str:
    """Return a program's path, or skip where it is missing; in CI it must be there."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed (.ci/run installs it where it can)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _verify(unit: Path, *, user: bool) -> tuple[int, str]:
    """Let systemd judge a unit; return exit code and complaints."""
    unit.parent.chmod(0o700)
    done = subprocess.run(
        [
            _tool("systemd-analyze"),
            "--man=no",
            "--user" if user else "--system",
            "verify",
            str(unit),
        ],
        env={**os.environ, "XDG_RUNTIME_DIR": str(unit.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "annals" in line]
    return done.returncode, "\n".join(ours)


@pytest.mark.parametrize("name", [UNIT, TEMPLATE])
def test_the_shipped_units_are_valid(name: str, tmp_path: Path) -> None:
    """Systemd finds nothing wrong with the units as they are in deploy/."""
    shutil.copy(DEPLOY / "systemd" / name, tmp_path)
    assert _verify(tmp_path / name, user=name == UNIT) == (0, "")


@pytest.mark.parametrize("template", [False, True])
def test_a_unit_with_odd_paths_is_valid(template: bool, tmp_path: Path) -> None:
    """Spaces, quotes, dollars, percent signs and backslashes in paths make no other unit."""
    unit = tmp_path / (TEMPLATE if template else UNIT)
    unit.write_text(unit_text(ODD, template=template))
    assert _verify(unit, user=not template) == (0, "")
    assert 'ExecStart=/bin/sh -c "true \\"a b\\" $$HOME 100%% \\\\" sync run\n' in unit.read_text()


def test_a_broken_unit_is_found(tmp_path: Path) -> None:
    """The check of this file can fail: a program that is not there is complained of."""
    unit = tmp_path / UNIT
    unit.write_text(unit_text(Service((str(tmp_path / "gone"),), {}, ())))
    code, complaints = _verify(unit, user=True)
    assert code
    assert "is not executable" in complaints


@pytest.mark.parametrize("name", [UNIT, TEMPLATE])
def test_the_units_are_hardened(name: str) -> None:
    """Both units have no way to more rights, a read-only system, and bounds."""
    lines = (DEPLOY / "systemd" / name).read_text().splitlines()
    assert [wanted for wanted in HARDENED if wanted not in lines] == []


def test_a_unit_may_write_where_the_agent_writes(tmp_path: Path) -> None:
    """The folders of buffer, state and log are writable, everything else is not."""
    settings = load_settings(
        sqlite_path=tmp_path / "b" / "buffer.db",
        annals_home=tmp_path / "a",
        log_file=tmp_path / "c" / "sync.log",
    )
    text = unit_text(service_of(settings, {}, program="/usr/bin/python3"))
    (line,) = re.findall(r"(?m)^ReadWritePaths=(.*)$", text)
    assert line.split() == [f"-{tmp_path / name}" for name in "abc"]
    assert "\nExecStart=/usr/bin/python3 -P -m analytics.cli sync run\n" in text


def test_the_environment_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Values with spaces, quotes and dollars come through as they are."""
    path = tmp_path / "sync.env"
    path.write_text(environment_text(ODD))
    script = f"set -a; . {path}; env -0"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    found = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    assert {name: found[name] for name in ODD.environment} == ODD.environment


def test_a_line_break_is_refused() -> None:
    """A value with a line break would be another line of the unit: exit 3."""
    with pytest.raises(SettingsError):
        environment_text(Service((), {"HOST_NAME": "a\nExecStart=x"}, ()))
    with pytest.raises(SettingsError):
        unit_text(Service(("/bin/true\n",), {}, ()))


@pytest.mark.parametrize("shipped", [True, False])
def test_the_pm2_file_is_a_module(shipped: bool, tmp_path: Path) -> None:
    """Node loads the file; it has one app with the command and the settings."""
    path = DEPLOY / "pm2" / "ecosystem.config.js"
    if not shipped:
        path = tmp_path / "ecosystem.config.js"
        path.write_text(ecosystem_text(ODD))
    done = subprocess.run(
        [_tool("node"), "-e", f"console.log(JSON.stringify(require({json.dumps(str(path))})))"],
        capture_output=True,
        text=True,
        check=True,
    )
    (app,) = json.loads(done.stdout)["apps"]
    command = [app["script"], *app["args"]]
    assert command == (["annals", "sync", "run"] if shipped else list(ODD.command))
    assert app["env"] == ({} if shipped else ODD.environment)
    assert app["interpreter"] == "none"


def test_the_launchd_file_is_a_property_list() -> None:
    """The file parses; it has the command, the settings and a place for what is written."""
    job = plistlib.loads(plist_text(ODD, log=Path("/Users/ada/x.log")).encode())
    assert job["ProgramArguments"] == list(ODD.command)
    assert job["EnvironmentVariables"] == ODD.environment
    assert (job["Label"], job["StandardErrorPath"]) == ("io.annals.sync", "/Users/ada/x.log")
    shipped = plistlib.loads((DEPLOY / "launchd" / "io.annals.sync.plist").read_bytes())
    assert shipped["ProgramArguments"][-2:] == ["sync", "run"]
