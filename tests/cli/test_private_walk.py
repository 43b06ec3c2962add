"""After every command, under umask 000, nothing of ours is open to others."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analytics.cli.reference import commands
from examples.generator import write_sample
from tests.conftest import ROOT, clean_environment
from tests.servers.running import Mongo

READS = "reads only"
REPORTS = (
    *("weekly", "monthly", "session", "blocks", "models", "projects", "branches", "hosts"),
    "tools",
)
PLATFORM = "tests/platform/test_up.py, which starts everything under umask 000"

AGAIN = "--set ANNALS_HOME=HOME/again --set SQLITE_PATH=HOME/again/b.db"

WALKS: dict[str, str | list[str]] = {
    "annals sync allow": ["sync allow place.example:27017/db"],
    "annals sync once": ["sync once", "--set BATCH_SIZE=7 sync once"],
    "annals extract": ["extract", "extract --full-backfill"],
    "annals load": ["load"],
    "annals transform": ["transform"],
    "annals publish": ["publish"],
    "annals pipeline": ["pipeline"],
    "annals sync run": ["run sync run"],
    "annals sync flush": ["sync flush --timeout 5"],
    "annals sync replay": ["sync replay --timeout 5"],
    "annals sync quarantine retry": ["sync quarantine retry --all --timeout 5"],
    "annals validate": ["validate --deep"],
    "annals repair": ["repair", "repair --dry-run"],
    "annals backup": ["backup", "backup --to HOME/archives/kept.tar.zst"],
    "annals restore": [f"{AGAIN} restore HOME/archives/kept.tar.zst"],
    "annals sync install": ["sync install systemd", "sync install pm2", "sync install launchd"],
    "annals sync uninstall": ["sync uninstall pm2"],
    "annals up": PLATFORM,
    "annals down": PLATFORM,
    "annals doctor": ["doctor"],
    "annals status": ["status"],
    "annals config show": ["config show"],
    "annals iceberg info": ["iceberg info"],
    "annals usage daily": ["usage daily"],
    "annals sessions restore": ["sessions restore 4989e1fb --to HOME/archives/restored"],
    **dict.fromkeys(
        (
            *("annals iceberg snapshots", "annals sessions list", "annals sync log"),
            *("annals sync quarantine list", "annals sync quarantine show", "annals sync status"),
            *(
                "annals sessions export",
                "annals sessions show",
                "annals statusline",
                "annals version",
            ),
            *(f"annals usage {report}" for report in REPORTS),
        ),
        READS,
    ),
}
"""What is run of each command; a command that is not here fails the first test."""

PROGRAMS = ["module operations.dbt_docs --build-only"]

DRIVER = """
import json, os, runpy, shlex, signal, subprocess, sys, time
from analytics.cli.__main__ import main
codes = {}
for line in json.loads(sys.argv[1]):
    kind, *words = shlex.split(line)
    os.umask(0)
    if kind == "run":
        child = subprocess.Popen([sys.executable, "-m", "analytics.cli", *words], umask=0)
        time.sleep(4)
        child.send_signal(signal.SIGTERM)
        codes[line] = child.wait(60)
        continue
    try:
        if kind == "module":
            sys.argv = words
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["annals", kind, *words]
            main()
    except SystemExit as left:
        codes[line] = left.code
print("codes:", json.dumps(codes))
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Return a folder with commands of service managers that do nothing."""
    for name in ("systemctl", "launchctl", "pm2"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def _lines(home: Path) -> list[str]:
    found = [line for lines in WALKS.values() if isinstance(lines, list) for line in lines]
    return [line.replace("HOME/", f"{home}/") for line in (*found, *PROGRAMS)]


def _walk(home: Path, lines: list[str], path: Path, **changes: str) -> dict[str, Any]:
    transcripts = home / ".claude" / "projects"
    if not transcripts.exists():
        write_sample(transcripts)
        (home / "archives").mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(lines)],
        env=clean_environment(home, PATH=f"{path}:{os.environ['PATH']}", **changes),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        umask=0,
    )
    assert "codes: " in done.stdout, done.stdout + done.stderr
    codes: dict[str, Any] = json.loads(done.stdout.rpartition("codes: ")[2])
    return codes


def _modes(home: Path) -> dict[str, int]:
    """Return the mode of every file and folder below the home that is not a transcript."""
    found = {}
    for path in home.rglob("*"):
        if path.is_symlink() or path.is_relative_to(home / ".claude"):
            continue
        found[str(path.relative_to(home))] = stat.S_IMODE(path.stat().st_mode)
    return found


def test_every_command_is_walked() -> None:
    """A new command has to be in the table."""
    assert {name for name, _ in commands()} == WALKS.keys()


@pytest.mark.slow
def test_nothing_of_ours_is_open_to_others(home: Path, tools: Path, mongo: Mongo) -> None:
    """All commands in one home, with shipping to a server: files 0600, folders 0700."""
    place = {"MONGO_URI": mongo.uri, "MONGO_DB": mongo.name, "LOG_FILE": str(home / "log" / "l")}
    codes = _walk(home, _lines(home), tools, **place)
    assert {line: code for line, code in codes.items() if code not in (0, 6)} == {}
    modes = _modes(home)
    assert len(modes) > 100
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.slow
def test_a_group_may_use_what_is_shared(home: Path, tools: Path) -> None:
    """With STATE_MODE=group files are 0660 and folders 0770; an archive is for its user."""
    shared = [line for line in _lines(home) if line.split()[0] in ("pipeline", "backup", "--set")]
    codes = _walk(home, shared, tools, STATE_MODE="group")
    assert set(codes.values()) == {0}
    modes = _modes(home)
    for name in [name for name in modes if name.endswith(".tar.zst") or name == "archives"]:
        del modes[name]  # wherever an archive goes, it is for its user alone
    closed = {name: oct(mode) for name, mode in modes.items() if mode & 0o060 != 0o060}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o007} == {}
    assert closed == {}


def test_the_repository_has_the_programs() -> None:
    """The programs that are walked beside the commands exist."""
    for line in PROGRAMS:
        assert (ROOT / (line.split()[1].replace(".", "/") + ".py")).exists()
