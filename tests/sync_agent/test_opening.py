"""A transcript is opened as it was listed, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sync_agent.reading.opening import SwappedError, open_transcript
from sync_agent.reading.paths import Found, discover
from tests.sync_agent.places import CHAT, Place

LINE = b'{"type":"user"}\n'


def listed(place: Place) -> Found:
    """Return the one transcript of the place."""
    (found,) = discover(place.root).files
    return found


def swap(path: Path, kind: str, outside: Path) -> None:
    """Put something else in the place of a transcript, or of its folder."""
    if kind == "link":
        path.unlink()
        path.symlink_to(outside / path.name)
    elif kind == "folder link":
        path.parent.rename(path.parent.with_name("away"))
        path.parent.symlink_to(outside, target_is_directory=True)
    elif kind == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif kind == "device":
        path.unlink()
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("link", SwappedError),
        ("folder link", SwappedError),
        ("fifo", FileNotFoundError),
        ("device", FileNotFoundError),
        ("folder", FileNotFoundError),
        ("gone", FileNotFoundError),
    ],
)
def test_what_was_swapped_after_the_listing_is_not_read(
    place: Place, tmp_path: Path, kind: str, error: type[OSError]
) -> None:
    """R-41 A link, a FIFO, a device or a folder in the place of a transcript is never read."""
    path = place.write(CHAT, LINE)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / path.name).write_bytes(b"secret")
    found = listed(place)
    try:
        swap(path, kind, outside)
    except PermissionError:
        pytest.skip("this user may not make a device")
    with pytest.raises(error):
        open_transcript(found)


def test_a_replaced_transcript_is_read(place: Place) -> None:
    """R-41 Another regular file at the same place is what a program that rewrites files leaves."""
    path = place.write(CHAT, LINE)
    found = listed(place)
    place.write(CHAT + ".new", LINE * 2).replace(path)
    descriptor, now = open_transcript(found)
    os.close(descriptor)
    assert now.size == 2 * len(LINE)
