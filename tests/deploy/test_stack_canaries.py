"""A canary in every setting of the stack: only its two private files hold one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.test_canaries import canary, variables
from tests.deploy.stacks import Machine, machine

PRIVATE = {".env", ".stack.json", ".env.secrets", "model"}
"""Who wrote them chose the first; the stack makes the next two, and ``model`` is this test's."""
HOST = "203.0.113.7:1"
COMMANDS = ("check", "up", "status", "logs", "down", "nonsense")


@pytest.fixture
def here(tmp_path: Path, home: Path) -> Machine:
    """Return a machine whose .env has a canary in each setting that is not harmless."""
    found = machine(tmp_path, home)
    values = variables(HOST)
    found.write(".env", "".join(f"{name}={value}\n" for name, value in values.items()))
    (found.folder / ".env").chmod(0o600)
    found.variables["ALLOW_DESTINATIONS"] = HOST
    return found


@pytest.mark.parametrize("code", ["0", "17"], ids=["well", "docker refuses"])
def test_no_command_of_the_stack_shows_a_canary(here: Machine, code: str) -> None:
    """Neither what it prints, nor a command line of docker, nor another file has one."""
    here.write("code", code)
    shown = [here.run(command) for command in COMMANDS]
    texts = [done.stdout + done.stderr for done in shown] + here.calls
    mark = canary("", "").partition("-")[0]
    assert [text for text in texts if mark in text] == []
    assert any("up" in call for call in here.calls), texts
    holding = {
        path.relative_to(here.folder).as_posix(): path
        for path in here.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and mark.encode() in path.read_bytes()
    }
    noted = {"environment"} & holding.keys()  # what docker was given as variables, for compose
    assert holding.keys() - noted <= PRIVATE
    for name in (".stack.json",):
        assert stat.S_IMODE(holding[name].stat().st_mode) == 0o600


def test_what_is_wrong_with_a_setting_is_named_without_its_value(here: Machine) -> None:
    """A value that cannot be read is secret too, as far as anybody knows."""
    with (here.folder / ".env").open("a", encoding="utf-8") as file:
        file.write(f"BATCH_SIZE={canary('batch', 'size')}\nNO_SUCH={canary('no', 'such')}\n")
    for command in ("check", "up"):
        done = here.run(command)
        assert done.returncode == 3
        assert "BATCH_SIZE" in done.stderr
        assert canary("", "").partition("-")[0] not in done.stdout + done.stderr
