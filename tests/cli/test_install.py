"""``sync install`` and ``uninstall``, with stand-ins for the commands of service managers."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from tests.conftest import Run

SECRET = "mongodb://me:hunter2@host/"  # noqa: S105 -- a made-up one


@pytest.fixture
def tools(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands on PATH that note their arguments; a file ``refuse`` makes them fail."""
    folder = home / "tools"
    folder.mkdir()
    for name in ("systemctl", "launchctl", "pm2"):
        script = folder / name
        script.write_text(
            f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n'
            f'if [ -e "{folder}/refuse" ]; then echo "no bus" >&2; exit 1; fi\n'
        )
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def _calls(tools: Path) -> list[str]:
    return (tools / "calls").read_text().splitlines()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_systemd_is_installed_and_taken_away(
    in_process: Run, tools: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit is written and enabled; settings go into a private file and stay at the end."""
    monkeypatch.setenv("MONGO_URI", SECRET)
    place = "host:27017/claude_logs"
    assert in_process("sync", "allow", place).code == 0
    unit = home / ".config" / "systemd" / "user" / "annals-sync.service"
    settings = home / ".config" / "annals" / "sync.env"
    for _ in range(2):  # again leads to the same
        done = in_process("--set", "BATCH_SIZE=7", "sync", "install", "systemd")
        assert done.code == 0, done.err
        assert "hunter2" not in done.out + done.err
        assert "hunter2" not in unit.read_text()
        assert settings.read_text().splitlines()[1:] == [
            f"ALLOW_DESTINATIONS={place}",
            "BATCH_SIZE=7",
            f"MONGO_URI={SECRET}",
        ]
        assert (_mode(settings), _mode(unit)) == (0o600, 0o600)
    assert (home / ".claude-sync").is_dir()
    assert _calls(tools)[:3] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable annals-sync.service",
        "systemctl --user restart annals-sync.service",
    ]
    assert in_process("sync", "uninstall", "systemd").code == 0
    assert not unit.exists()
    assert settings.exists()
    assert _calls(tools)[-2:] == [
        "systemctl --user disable --now annals-sync.service",
        "systemctl --user daemon-reload",
    ]


def test_pm2_and_launchd(in_process: Run, tools: Path, home: Path) -> None:
    """Each has to start the file that was written, and to forget it again."""
    files = {
        "pm2": home / ".config" / "annals" / "ecosystem.config.js",
        "launchd": home / "Library" / "LaunchAgents" / "io.annals.sync.plist",
    }
    for manager, path in files.items():
        assert in_process("sync", "install", manager).code == 0
        assert _mode(path) == 0o600
        assert in_process("sync", "uninstall", manager).code == 0
        assert not path.exists()
    domain = f"gui/{os.getuid()}"
    assert _calls(tools) == [
        f"pm2 startOrRestart {files['pm2']} --update-env",
        "pm2 save",
        "pm2 delete annals-sync",
        "pm2 save --force",
        f"launchctl bootout {domain}/io.annals.sync",
        f"launchctl bootstrap {domain} {files['launchd']}",
        f"launchctl bootout {domain}/io.annals.sync",
    ]


def test_services_start_with_the_safe_path(in_process: Run, tools: Path, home: Path) -> None:
    """Every manager is told -P: packages of the folder that it starts in are not imported."""
    for manager in ("systemd", "pm2", "launchd"):
        assert in_process("sync", "install", manager).code == 0
    files = [*(home / ".config").rglob("*.service"), *(home / ".config").rglob("*.js")]
    files += (home / "Library").rglob("*.plist")
    assert len(files) == 3
    for path in files:
        before, found, _ = path.read_text().partition("analytics.cli")
        assert found
        assert re.search(r'[\s">]-P[\s"<]', before), path
    assert tools.exists()


def test_a_dry_run_does_nothing(in_process: Run, home: Path, tools: Path) -> None:
    """--dry-run lists every step, shows no secret, and leaves everything as it was."""
    before = sorted(home.rglob("*"))
    done = in_process("--set", f"MONGO_URI={SECRET}", "sync", "install", "systemd", "--dry-run")
    assert done.code == 0
    assert "would write" in done.out
    assert "would systemctl --user enable annals-sync.service" in done.out
    for arguments in (("systemd",), ("pm2",), ("launchd",), ("systemd", "--system", "--user", "x")):
        setting = ("--set", f"MONGO_URI={SECRET}")
        told = in_process(*setting, "sync", "install", *arguments, "--dry-run", "--json")
        assert told.data["dry_run"] is True
        assert told.data["steps"]
        assert "hunter2" not in told.out
        assert in_process("sync", "uninstall", *arguments, "--dry-run").code == 0
    assert sorted(home.rglob("*")) == before


def test_a_unit_of_the_system_names_its_user(
    in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--system needs a user, and says which instance it would enable."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    done = in_process("sync", "install", "systemd", "--system", "--user", "ada", "--dry-run")
    assert "would write /etc/systemd/system/annals-sync@.service (mode 644)" in done.out
    assert "would write /etc/annals/ada.env (mode 600)" in done.out
    assert "would systemctl enable annals-sync@ada.service" in done.out
    assert in_process("sync", "install", "systemd", "--system", "--dry-run").code == 2
    assert in_process("sync", "install", "pm2", "--system", "--dry-run").code == 2
    assert in_process("sync", "install", "cron", "--dry-run").code == 2


@pytest.mark.parametrize("manager", ["systemd", "launchd", "pm2"])
def test_a_missing_manager_is_named_with_the_remedy(
    in_process: Run, manager: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the manager's command is missing, that is exit 4, and nothing is written."""
    monkeypatch.setenv("PATH", str(home))
    done = in_process("sync", "install", manager)
    assert done.code == 4
    assert "is not on this machine" in done.err
    assert "annals sync" in done.err
    assert list(home.iterdir()) == []


def test_a_manager_that_refuses_is_quoted(in_process: Run, tools: Path) -> None:
    """What the manager says is in the error, with what to do; uninstalling goes on regardless."""
    (tools / "refuse").touch()
    done = in_process("sync", "install", "systemd")
    assert done.code == 4
    assert "`systemctl --user daemon-reload` was refused: no bus" in done.err
    assert "enable-linger" in done.err
    assert in_process("sync", "uninstall", "systemd").code == 0
