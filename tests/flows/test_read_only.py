"""A disk that was mounted read-only: named with the remedy, nothing lost, readers go on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Run

STATE = ("extract", "load", "transform", "publish", "pipeline", "backup", "repair", "validate")
BUFFER = ("pipeline", "sync once", "sync run", "sync replay", "extract")


@contextlib.contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Mount a folder read-only over itself, as a disk is that had an error."""
    mounted = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing may be mounted here (that needs the rights of root)")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize(
    ("name", "commands"), [(".annals", STATE), (".claude-sync", BUFFER)], ids=["state", "buffer"]
)
def test_a_read_only_disk_is_named(
    in_process: Run, home: Path, name: str, commands: tuple[str, ...]
) -> None:
    """Each command that writes ends with 3, the place and what to set; no byte is changed."""
    chat = home / ".claude" / "projects" / "-p" / "chat.jsonl"
    chat.parent.mkdir(parents=True)
    chat.write_bytes(b'{"type":"user"}\n')
    assert in_process("sync", "once").code == 0
    assert in_process("extract").code == 0
    chat.write_bytes(b'{"type":"user"}\n' * 2)
    before = _tree(home / name)
    with _read_only(home / name):
        for command in commands:
            done = in_process(*command.split())
            assert (command, done.code) == (command, 3), done.err
            assert str(home / name) in done.err
            assert "is on a read-only file system" in done.err
            assert "set ANNALS_HOME and SQLITE_PATH to another disk" in done.err
        doctor = in_process("doctor")
        assert "is on a read-only file system" in " ".join(doctor.out.split())
        assert "chmod" not in doctor.out
    assert _tree(home / name) == before
    assert in_process("sync", "once").code == 0
    assert in_process("extract").code == 0
