"""State files: whatever is in their place and is not ours is refused by name."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from annals import files
from annals.errors import AnalyticsError, SettingsError
from annals.locks import exclusive, held_by, read_holder
from annals.settings import load_settings
from flows.history import last_run, noted
from flows.running_services import State, read_state, write_state
from loaders.dbt_project import prepare
from loaders.warehouse import connect
from sync_agent.buffer.store import open_buffer

PRECIOUS = "precious"


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("nowhere"))


def _second_name(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def _fifo(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, victim: Path) -> None:
    path.mkdir()


def _socket(path: Path, victim: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


PLANTED = [_link, _dangling, _second_name, _fifo, _folder, _socket]
Plant = Callable[[Path, Path], None]


@pytest.fixture
def victim(home: Path) -> Path:
    """Return a file outside of the state, which nothing of ours may change."""
    path = home / "victim"
    path.write_text(PRECIOUS, encoding="utf-8")
    return path


def _opened(path: Path) -> None:
    os.close(files.open_state_file(path, os.O_RDWR | os.O_CREAT))


def _locked(path: Path) -> None:
    with exclusive(path, role="test", what="it"):
        pass


def _buffered(path: Path) -> None:
    with open_buffer(path):
        pass


def _warehouse(path: Path) -> None:
    with connect(load_settings(duckdb_path=path)):
        pass


@pytest.mark.parametrize("use", [_opened, files.open_log, _locked, _buffered, _warehouse])
@pytest.mark.parametrize("plant", PLANTED)
def test_what_is_planted_is_refused_by_name(
    home: Path, victim: Path, plant: Plant, use: Callable[[Path], None]
) -> None:
    """Lock, log, buffer and warehouse: no link, FIFO, folder or socket is opened or changed."""
    path = home / "planted"
    plant(path, victim)
    with pytest.raises(AnalyticsError) as caught:
        use(path)
    assert str(path) in caught.value.message
    assert "defect" not in caught.value.hint
    assert victim.read_text(encoding="utf-8") == PRECIOUS
    assert not victim.with_name("nowhere").exists()


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_files_beside_the_buffer_are_looked_at_too(home: Path, victim: Path, suffix: str) -> None:
    """A link in the place of SQLite's log is refused before SQLite follows it."""
    path = home / "buffer.db"
    with open_buffer(path):
        pass
    path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.with_name(path.name + suffix).symlink_to(victim)
    with pytest.raises(SettingsError, match=suffix):
        _buffered(path)
    assert victim.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.parametrize("plant", PLANTED[:-2])
def test_notes_are_replaced_and_never_written_through(
    home: Path, victim: Path, plant: Plant
) -> None:
    """Whatever has the name of a note goes; what it led to stays as it was."""
    settings = load_settings(annals_home=home / "state")
    (settings.annals_home / "platform").mkdir(parents=True)
    for name in ("last-run.json", "platform/up.json"):
        plant(settings.annals_home / name, victim)
    with noted(settings, "test"):
        pass
    write_state(settings, State(7, ()))
    assert (last_run(settings) or {})["command"] == "test"
    assert read_state(settings) == State(7, ())
    assert victim.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.parametrize("plant", PLANTED)
def test_dbt_writes_into_no_folder_that_was_prepared(
    home: Path, victim: Path, plant: Plant
) -> None:
    """One planted name of the two hundred in dbt's target is enough to be refused."""
    settings = load_settings(annals_home=home / "state")
    target = settings.annals_home / "dbt" / "target"
    target.mkdir(parents=True)
    plant(target / "perf_info.json", victim)
    if plant is _folder:
        (target / "perf_info.json").rmdir()
        (target / "perf_info.json").symlink_to(home, target_is_directory=True)
    with pytest.raises(SettingsError, match="perf_info"):
        prepare(settings)
    assert victim.read_text(encoding="utf-8") == PRECIOUS


@pytest.mark.parametrize("name", ["dbt", "dbt/target"])
def test_folders_below_the_home_are_no_links(home: Path, name: str) -> None:
    """A folder that Annals makes is its own and no way to another place."""
    settings = load_settings(annals_home=home / "state")
    (home / "elsewhere").mkdir()
    link = settings.annals_home / name
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "elsewhere", target_is_directory=True)
    with pytest.raises(SettingsError, match=name):
        prepare(settings)
    assert not list((home / "elsewhere").iterdir())


def test_a_planted_temporary_file_is_not_used(home: Path, victim: Path) -> None:
    """Temporary names are random, and made only where nothing has them."""
    path = home / "note.json"
    for pid in range(max(2, os.getpid() - 5), os.getpid() + 5):
        (home / f"note.{pid}.tmp").symlink_to(victim)
    files.replace_text(path, "text")
    assert path.read_text(encoding="utf-8") == "text"
    assert not path.is_symlink()
    assert victim.read_text(encoding="utf-8") == PRECIOUS
    with pytest.raises(FileExistsError):
        files.create_file(victim)


def test_a_failed_replacement_leaves_the_old_file(home: Path) -> None:
    """What could not be written to its end is nowhere to be seen."""
    path = home / "note"
    files.replace_text(path, "old")

    def fail() -> None:
        with files.replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in home.iterdir()] == ["note"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")
def test_a_file_of_another_user_is_named_with_the_remedy(home: Path) -> None:
    """The message says whose it is, who asks, and the command that gives it back."""
    path = home / "pipeline.lock"
    path.touch(mode=0o600)
    os.chown(path, 65_534, 65_534)
    with pytest.raises(SettingsError) as caught:
        _locked(path)
    assert "uid 65534" in caught.value.message
    assert f"(uid {os.geteuid()})" in caught.value.message
    assert "sudo chown -R" in caught.value.hint
    assert held_by(path) is None, "looking at it is not a use of it"
    assert read_holder(path) is None


@pytest.mark.parametrize("before", [0, 0o022, 0o777])
def test_the_umask_at_the_start_does_not_matter(
    home: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are 0600 and folders 0700, or 0660 and 0770 for a group, whatever was set before."""
    was = os.umask(before)
    try:
        for mode, file_mode, folder_mode in (
            ("private", 0o600, 0o700),
            ("group", 0o660, 0o770),
        ):
            monkeypatch.setenv("STATE_MODE", mode)
            files.set_umask()
            folder = files.make_folder(home / mode / "deeper")
            files.replace_text(folder / "note", "text")
            files.open_log(folder / "log")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)}
            assert modes == {folder_mode}
            assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {file_mode}
    finally:
        files.set_umask(group=False)
        os.umask(was)


def test_a_folder_of_ours_is_never_a_link(tmp_path: Path) -> None:
    """Nothing is made behind a link; of a folder that a setting names it may be one's own."""
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(SettingsError, match="link"):
        files.make_folder(tmp_path / "link")
    assert files.make_folder(tmp_path / "link", named=True) == tmp_path / "link"
    assert files.make_folder(tmp_path / "link" / "deeper").is_dir()
    for named in (True, False):
        for path in (tmp_path / "nowhere", tmp_path / "nowhere" / "deeper"):
            with pytest.raises(SettingsError, match="nowhere is a symbolic link"):
                files.make_folder(path, named=named)
    assert not (tmp_path / "missing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give files away")
@pytest.mark.parametrize("named", [True, False])
def test_a_link_of_another_user_is_never_followed(named: bool, tmp_path: Path) -> None:
    """Someone who can write to a folder above cannot lead us elsewhere, set by name or not."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.lchown(tmp_path / "link", 12345, -1)
    with pytest.raises(SettingsError, match="uid 12345"):
        files.make_folder(tmp_path / "link" / "deeper", named=named)
    assert list((tmp_path / "real").iterdir()) == []
