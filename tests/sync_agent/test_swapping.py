"""A folder that becomes a link for a moment is never read through, wherever it lies."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annals.records import opening
from annals.records.opening import SwappedError, open_by_parts, open_known, open_real
from sync_agent.reading.paths import discover
from tests.sync_agent.places import Place, assert_balanced
from tests.sync_agent.running_agents import until
from tests.sync_agent.test_rounds import reading

OURS = b'{"type":"user","sessionId":"s","uuid":"ours"}'
SECRET = b'{"type":"user","sessionId":"s","uuid":"secret"}'
DEEP = "-project/session/subagents"
NAMES = ("agent-1.jsonl", "workflows/agent-2.jsonl")


@pytest.fixture(params=["kernel", "parts"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open with the kernel's own name for a descriptor, and where there is no /proc."""
    if request.param == "parts":
        monkeypatch.setattr(opening, "_DESCRIPTORS", b"/nowhere/%d")


def _fill(folder: Path, line: bytes) -> None:
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(line)


@contextlib.contextmanager
def _swapping(folder: Path, outside: Path) -> Iterator[None]:
    """Swap a folder and a link to ``outside`` as fast as the machine can, all the time."""
    is_over = threading.Event()
    away, link = outside.with_name("away"), outside.with_name("link")
    link.symlink_to(outside, target_is_directory=True)

    def swap() -> None:
        while not is_over.is_set():
            folder.rename(away)
            link.rename(folder)
            folder.rename(link)
            away.rename(folder)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("part", ["-project/session", DEEP, f"{DEEP}/workflows"])
def test_a_folder_that_is_a_link_for_a_moment_is_not_read(tmp_path: Path, part: str) -> None:
    """R-41 However listing, opening and swapping interleave, no foreign byte is kept."""
    place, outside = Place(tmp_path), tmp_path / "outside"
    _fill(place.root / DEEP, OURS)
    below = Path(DEEP).relative_to(part) if DEEP.startswith(part) else Path()
    _fill(outside / below, SECRET)
    (outside / "agent-2.jsonl").write_bytes(SECRET)
    swapped = place.root / part
    listed = discover(place.root).files
    end = time.monotonic() + 0.4
    opened = refused = 0
    with _swapping(swapped, outside):
        while time.monotonic() < end:
            for found in (*listed, *discover(place.root, within=_folder(place)).files):
                try:
                    descriptor = opening.open_regular(found.real or found.path)
                except OSError:
                    refused += 1
                    continue
                opened += 1
                content = os.read(descriptor, 1000)
                os.close(descriptor)
                assert content == OURS
    assert opened
    assert refused
    place.sync()
    assert place.lines() == [OURS] * len(place.lines())


def _folder(place: Place) -> bytes:
    return os.fsencode(place.root / DEEP)


def test_a_running_agent_reads_nothing_foreign_while_folders_are_swapped(tmp_path: Path) -> None:
    """R-41 Rounds, hints and the verification of grown files keep what is ours and no more."""
    place, outside = Place(tmp_path), tmp_path / "outside"
    _fill(place.root / DEEP, OURS)
    _fill(outside, SECRET)
    with reading(place):
        until(lambda: len(place.lines()) == 2)
        with _swapping(place.root / DEEP, outside):
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                with (outside / NAMES[0]).open("ab") as file:
                    file.write(SECRET)
                time.sleep(0.02)
    assert set(place.lines()) == {OURS}


@pytest.mark.usefixtures("_way")
def test_a_project_folder_that_is_a_link_is_read_by_its_real_path(tmp_path: Path) -> None:
    """R-03 R-41 Links that the listing followed lead to the base; below it none is followed."""
    place, disk, outside = Place(tmp_path), tmp_path / "disk", tmp_path / "outside"
    _fill(disk / "session" / "subagents", OURS)
    _fill(outside, SECRET)
    (place.root / "-project").symlink_to(disk, target_is_directory=True)
    assert place.sync().entries_new == 2
    assert_balanced(place.custody())
    path = os.fsencode(place.root / DEEP / NAMES[0])
    key = b"session/subagents/agent-1.jsonl"
    os.close(open_known(path, key))
    (disk / "session" / "subagents").rename(tmp_path / "away")
    (disk / "session" / "subagents").symlink_to(outside, target_is_directory=True)
    with pytest.raises(SwappedError):
        open_known(path, key)


def test_a_listed_folder_that_is_a_link_now_is_a_place_outside_custody(tmp_path: Path) -> None:
    """R-41 The folder is named with the reason, and what is known below it has not vanished."""
    place, outside = Place(tmp_path), tmp_path / "outside"
    _fill(place.root / DEEP, OURS)
    _fill(outside, SECRET)

    def swap(folder: bytes) -> None:
        if folder == _folder(place):
            (place.root / DEEP).rename(tmp_path / "away")
            (place.root / DEEP).symlink_to(outside, target_is_directory=True)

    listing = discover(place.root, entered=swap)
    assert listing.files == []
    assert listing.unlisted == [_folder(place)]
    (warning,) = listing.warnings
    assert "a link took its place" in warning


@pytest.mark.parametrize("opener", [open_real, open_by_parts])
def test_no_part_of_a_real_path_is_followed(tmp_path: Path, opener: object) -> None:
    """R-41 A link in any part of the path is refused: first, middle or last."""
    assert callable(opener)
    real = tmp_path.resolve()
    _fill(real / "a" / "b", OURS)
    path = os.fsencode(real / "a" / "b" / NAMES[1])
    os.close(opener(path, os.O_RDONLY))
    for folder in (real / "a" / "b" / NAMES[1], real / "a" / "b" / "workflows", real / "a"):
        away = folder.with_name("away")
        folder.rename(away)
        folder.symlink_to(away)
        with pytest.raises(SwappedError):
            opener(path, os.O_RDONLY)
        folder.unlink()
        away.rename(folder)
    os.close(opener(path, os.O_RDONLY))
    with pytest.raises(FileNotFoundError):
        opener(path + b".gone", os.O_RDONLY)


def test_what_a_look_lists_is_opened_by_its_real_path(tmp_path: Path) -> None:
    """R-41 A look at one folder takes the links that the round before it has followed."""
    place, disk = Place(tmp_path), tmp_path / "disk"
    _fill(disk / "subagents", OURS)
    (place.root / "-project").symlink_to(disk, target_is_directory=True)
    folder = os.fsencode(place.root / "-project" / "subagents")
    known = discover(place.root).real_folders
    looked = discover(place.root, within=folder, real_folders=known).files
    assert {found.real for found in looked} == {
        os.fsencode((disk / "subagents" / name).resolve()) for name in NAMES
    }
    assert discover(place.root, within=folder).files == []
