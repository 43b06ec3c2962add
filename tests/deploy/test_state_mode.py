"""Who reads which volume of the stack, and that the modes let them: by user, group and file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes other users")
_VARIABLE = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def _services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def _user(service: dict[str, Any]) -> tuple[int, int]:
    user, group = _VARIABLE.sub(r"\1", str(service["user"])).split(":")
    return int(user), int(group)


def _users_of_volumes() -> dict[str, dict[str, tuple[int, int]]]:
    """Return which services mount each named volume, with user and group."""
    volumes: dict[str, dict[str, tuple[int, int]]] = {}
    for name, service in _services().items():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0] if isinstance(mount, str) else ""
            if source and "/" not in source and not source.startswith((".", "$")):
                volumes.setdefault(source, {})[name] = _user(service)
    return volumes


def test_services_of_one_volume_are_of_one_group() -> None:
    """Users of a volume are one user, or share the group that its files belong to."""
    volumes = _users_of_volumes()
    assert {"published", "state", "buffer"} <= set(volumes)
    for name, users in volumes.items():
        assert len({user for user, _ in users.values()}) == 1 or {
            group for _, group in users.values()
        } == {0}, name


def test_every_writer_of_a_shared_volume_keeps_it_for_the_group() -> None:
    """Each service of ours that others read from says STATE_MODE=group to its entry."""
    shared = {name for users in _users_of_volumes().values() if len(users) > 1 for name in users}
    for name in shared - {"metabase"}:
        assert _services()[name]["environment"]["STATE_MODE"] == "group", name


@as_root
@pytest.mark.parametrize("owner", [10001, 1234])
def test_each_reader_of_a_volume_may_read_and_no_stranger(tmp_path: Path, owner: int) -> None:
    """Files that a writer makes in a volume can be read by each of its users, and not by others.

    ``owner`` is ANNALS_UID: the user of the transcripts, who is not the one of Metabase.
    """
    for above in tmp_path.parents:
        if above.is_relative_to("/tmp/pytest-of-root"):  # noqa: S108 -- pytest's own folder
            above.chmod(above.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    for name, users in _users_of_volumes().items():
        folder = tmp_path / f"{name}-{owner}"
        folder.mkdir()
        ours = {user for user in users.values() if user == (10001, 0)}
        os.chown(folder, 10001 if ours else next(iter(users.values()))[0], 0)
        folder.chmod(0o770)
        writer = (owner, 0) if ours else next(iter(users.values()))
        assert _as(writer, lambda at=folder: _write(at)) == 0, name
        for reader in users.values():
            assert _as(reader, lambda at=folder: _read(at)) == 0, (name, reader)
        assert _as((4321, 4321), lambda at=folder: _read(at)) == 1, name


def _write(folder: Path) -> None:
    from annals.files import make_folder, replace_text, set_umask

    set_umask(group=True)
    replace_text(make_folder(folder / "builds") / "x", "text")
    (folder / "builds" / "by-a-library").write_text("text", encoding="utf-8")


def _read(folder: Path) -> None:
    for path in (folder / "builds").iterdir():
        path.read_text(encoding="utf-8")


def _as(who: tuple[int, int], work: Any) -> int:
    """Do the work as that user in a child of this process; return 0, or 1 if it raised."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(who[1])
            os.setuid(who[0])
            work()
        except BaseException:  # noqa: BLE001 -- the exit code tells
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
