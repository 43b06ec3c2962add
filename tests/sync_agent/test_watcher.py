"""Both watchers, by one suite, and what is polled instead."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annals.watching.kernel_events import Inotify
from annals.watching.notifications import Notifications
from annals.watching.watcher import Hints, Watcher, refused, remote_file_system

PATIENCE = 120.0


@pytest.fixture(params=["inotify", "notifications"])
def watcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watcher]:
    """Return each watcher, watching an empty root."""
    root = tmp_path / "root"
    (root / "-a").mkdir(parents=True)
    made: Watcher
    if request.param == "inotify":
        made = Inotify(os.fsencode(root))
        made.watch(os.fsencode(root))
        made.watch(os.fsencode(root / "-a"))
    else:
        made = Notifications(root, latency_ms=2)
        time.sleep(0.3)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the root that is watched."""
    return tmp_path / "root"


def heard(watcher: Watcher, question: Callable[[Hints], object]) -> Hints:
    """Gather hints until the answer is yes."""
    found = Hints()
    until = time.monotonic() + PATIENCE
    while not question(found):
        assert time.monotonic() < until, f"only {found}"
        select.select([watcher.fileno()], [], [], 0.2)
        new = watcher.hints()
        found.files |= new.files
        found.folders |= new.folders
        found.soon = found.soon or new.soon
        found.root_lost = found.root_lost or new.root_lost
    return found


def test_what_is_written_is_told(watcher: Watcher, root: Path) -> None:
    """W-50 A new file and an append to it are hints at that file."""
    path = root / "-a" / "1.jsonl"
    path.write_bytes(b"1")
    heard(watcher, lambda found: os.fsencode(path) in found.files)
    with path.open("ab") as file:
        file.write(b"2")
    heard(watcher, lambda found: os.fsencode(path) in found.files)
    assert not watcher.hints().files


def test_a_new_folder_is_told(watcher: Watcher, root: Path) -> None:
    """W-50 A folder that is made is a hint at that folder."""
    (root / "-b").mkdir()
    heard(watcher, lambda found: os.fsencode(root / "-b") in found.folders)


def test_what_is_removed_asks_for_a_round(watcher: Watcher, root: Path) -> None:
    """W-50 A deletion asks for a round soon."""
    path = root / "-a" / "1.jsonl"
    path.write_bytes(b"1")
    heard(watcher, lambda found: os.fsencode(path) in found.files)
    path.unlink()
    heard(watcher, lambda found: found.soon)


def test_the_loss_of_the_root_is_told(watcher: Watcher, root: Path) -> None:
    """W-50 Where the root is removed, that is a hint of its own."""
    (root / "-a").rmdir()
    root.rmdir()
    heard(watcher, lambda found: found.root_lost)


def test_a_folder_is_watched_under_its_new_name(root: Path) -> None:
    """W-51 A renamed folder that is watched again gives hints under its new name, and only that."""
    (root / "-a").mkdir(parents=True)
    watcher = Inotify(os.fsencode(root))
    for folder in (root, root / "-a"):
        watcher.watch(os.fsencode(folder))
    (root / "-a").rename(root / "-b")
    assert os.fsencode(root / "-b") in watcher.hints().folders
    watcher.watch(os.fsencode(root / "-b"))
    (root / "-b" / "1.jsonl").touch()
    assert watcher.hints().files == {os.fsencode(root / "-b" / "1.jsonl")}
    watcher.keep({os.fsencode(root)})
    (root / "-b" / "1.jsonl").write_bytes(b"1")
    assert watcher.hints().files == set()
    watcher.close()


def test_the_remedy_fits_the_refusal() -> None:
    """W-25 Each limit of the system is named with the setting that raises it."""
    assert "max_user_watches" in refused(OSError(28, "no space")).remedy
    assert "max_user_instances" in refused(OSError(24, "too many")).remedy
    assert "WATCH_MODE" in refused(OSError(38, "not implemented")).remedy


def test_a_network_mount_is_recognised(tmp_path: Path) -> None:
    """W-26 The file system that holds the root decides, by the longest mount point."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n"
        "2 1 0:5 / /home rw,noatime shared:1 - nfs4 server:/home rw\n"
        "3 2 8:2 / /home/u/local rw - xfs /dev/vdb rw\n"
        "4 1 0:9 / /mnt/with\\040space rw - fuse.sshfs host: rw\n"
    )
    for path, kind in (
        ("/home/u/.claude", "nfs4"),
        ("/home/u/local/x", None),
        ("/homestead", None),
        ("/mnt/with space/x", "fuse.sshfs"),
    ):
        assert remote_file_system(Path(path), table) == kind
    assert remote_file_system(tmp_path, tmp_path / "no table") is None
