"""Who may reach the state: existing state is closed, and what is not ours is named once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from annals.access import claim_buffer, claim_state, open_paths, refused_parts
from annals.errors import SettingsError
from annals.settings import Settings, load_settings
from operations.doctor import Verdict, examine
from operations.doctor import state as checks
from tests.conftest import Built

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")


@pytest.fixture
def settings(home: Path) -> Settings:
    """Return settings whose state is there, open to everybody as an older version left it."""
    found = load_settings()
    for folder in (found.annals_home / "dbt" / "target", found.lake_folder / "a" / "b" / "data"):
        folder.mkdir(parents=True)
    (found.builds_folder / "builds" / "one").mkdir(parents=True)
    found.sqlite_path.parent.mkdir()
    for path in (
        found.sqlite_path,
        found.buffer_lock,
        found.warehouse_file,
        found.pipeline_lock,
        found.lake_folder / "catalog.db",
        found.lake_folder / "a" / "b" / "data" / "x.parquet",
        found.builds_folder / "builds" / "one" / "y.parquet",
        found.annals_home / "dbt" / "target" / "manifest.json",
    ):
        path.touch()
    for top in (found.annals_home, found.sqlite_path.parent):
        for path in (top, *top.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
    return found


def _modes(settings: Settings) -> set[int]:
    tops = (settings.annals_home, settings.sqlite_path.parent)
    paths = [path for top in tops for path in (top, *top.rglob("*"))]
    return {stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()}


def _as_user(uid: int, work: Callable[[], object]) -> int:
    """Do the work in a child of this process that is another user; return its exit code."""
    for above in Path.home().parents:
        if above.stat().st_uid == 0 and above.is_relative_to("/tmp/"):  # noqa: S108 -- our own
            above.chmod(above.stat().st_mode | 0o011)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(uid)
            work()
        except BaseException:  # noqa: BLE001 -- the exit code tells
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_existing_state_is_closed_at_the_next_start(settings: Settings) -> None:
    """What an older version left open is for its owner alone after one start."""
    assert open_paths(settings, limit=1_000)
    claim_state(settings)
    assert _modes(settings) == {0o700, 0o600}
    assert not open_paths(settings, limit=1_000)


def test_a_group_keeps_its_rights_and_nobody_else(settings: Settings) -> None:
    """With STATE_MODE=group the group may use the state, and others may not."""
    claim_state(settings.model_copy(update={"state_mode": "group"}))
    assert {mode & 0o007 for mode in _modes(settings)} == {0}
    assert {mode & 0o060 for mode in _modes(settings) if mode != 0o660} == {0o060}
    claim_state(settings)  # and back
    assert _modes(settings) == {0o700, 0o600}


def test_a_closed_lake_is_not_walked_again(settings: Settings) -> None:
    """Below a closed folder nothing is looked at: the cost does not grow with the lake."""
    claim_state(settings)
    inner = settings.lake_folder / "a" / "b" / "data" / "x.parquet"
    inner.chmod(0o644)
    claim_state(settings)
    assert stat.S_IMODE(inner.stat().st_mode) == 0o644
    settings.annals_home.chmod(0o755)
    claim_state(settings)
    assert stat.S_IMODE(inner.stat().st_mode) == 0o600


def test_folders_that_are_not_for_the_state_alone_stay(home: Path) -> None:
    """A home or a folder such as /tmp keeps its mode when the state is put right into it."""
    home.chmod(0o755)
    shared = home / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    claim_state(load_settings(annals_home=home, sqlite_path=shared / "b.db"))
    claim_state(load_settings(annals_home=shared, sqlite_path=shared / "b.db"))
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@as_root
@pytest.mark.parametrize(
    "name",
    [
        ".claude-sync/buffer.db",
        ".claude-sync/buffer.db.lock",
        ".annals",
        ".annals/analytics.db",
        ".annals/iceberg",
        ".annals/iceberg/a/b",
        ".annals/iceberg/catalog.db",
        ".annals/published",
        ".annals/published/builds/one",
        ".annals/dbt/target",
        ".annals/pipeline.lock",
    ],
)
def test_every_part_of_another_user_gives_one_message(
    home: Path, settings: Settings, name: str
) -> None:
    """Path, owner, who asks and the command, in front of a command and in the doctor."""
    os.chown(home / name, NOBODY, NOBODY)
    with pytest.raises(SettingsError) as caught:
        claim_state(settings)
    message, hint = caught.value.message, caught.value.hint
    assert str(home / name) in message
    assert "uid 65534" in message
    assert f"(uid {os.geteuid()})" in message
    assert "sudo chown -R" in hint
    found = {one.check: one for one in examine(settings)}
    assert found["owner"].verdict is Verdict.FAIL
    assert str(home / name) in found["owner"].says


@as_root
def test_a_group_uses_what_its_members_own(settings: Settings) -> None:
    """In a shared state the owner of a file says nothing: what counts is what one may do."""
    os.chown(settings.pipeline_lock, NOBODY, os.getegid())
    shared = settings.model_copy(update={"state_mode": "group"})
    assert not list(refused_parts(shared))
    claim_state(shared)
    claim_buffer(settings)  # puts this process's umask back


@as_root
def test_a_change_of_mode_that_is_refused_is_no_failure(settings: Settings) -> None:
    """A volume's folder belongs to somebody else: the doctor names it, nothing ends for it."""
    os.chown(settings.lake_folder, NOBODY, os.getegid())
    for path in (Path.home(), settings.annals_home, settings.sqlite_path.parent):
        for below in (path, *path.rglob("*")):
            if below != settings.lake_folder:
                os.chown(below, 1234, os.getegid())
    shared = settings.model_copy(update={"state_mode": "group"})
    assert _as_user(1234, lambda: claim_state(shared)) == 0
    assert stat.S_IMODE(settings.lake_folder.stat().st_mode) == 0o777
    assert [one.verdict for one in checks.privacy(settings)] != [Verdict.OK]


def test_a_file_whose_owner_may_not_use_it_is_named(settings: Settings) -> None:
    """A mode without rights for the owner is told as what it is."""
    settings.pipeline_lock.chmod(0o000)
    errors = [error.message for error in refused_parts(settings)]
    if os.geteuid() != 0:
        assert "mode 0000" in errors[0]
    settings.pipeline_lock.chmod(0o600)
    assert not list(refused_parts(settings))


def test_state_in_a_folder_of_everybody_is_named(home: Path, settings: Settings) -> None:
    """Where others may write, they may put their own files in the place of ours."""
    claim_state(settings)
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    moved = settings.model_copy(update={"sqlite_path": home / "open" / "b.db"})
    found = checks.privacy(moved)
    assert [one.verdict for one in found] == [Verdict.WARN]
    assert str(home / "open") in found[0].says


@pytest.mark.parametrize(
    ("kind", "is_named"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)]
)
def test_a_home_on_a_network_is_named(
    home: Path, settings: Settings, kind: str, *, is_named: bool
) -> None:
    """The kind of the file system that the state is on is looked up among the mounts."""
    mounts = home / "mounts"
    lines = f"/dev/x / ext4 rw 0 0\nserver:/home {Path.home()} {kind} rw 0 0\n"
    mounts.write_text(lines, encoding="utf-8")
    assert bool(checks.network(settings, mounts)) is is_named


def test_whatever_a_pipeline_makes_is_private(built: Built) -> None:
    """After a run on the sample no file and no folder of the state is open to anybody else."""
    tops = [built.home / ".annals", built.home / ".claude-sync"]
    paths = [path for top in tops if top.exists() for path in (top, *top.rglob("*"))]
    assert len(paths) > 20
    is_open = [str(path) for path in paths if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert is_open == []
