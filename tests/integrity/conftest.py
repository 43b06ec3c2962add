"""One prepared state for all tests of damage, and a copy of it where a test harms it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integrity.places import FOLDERS, Place


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path]:
    """Return a place with three snapshots, and a copy of its folders to begin again from."""
    root = tmp_path_factory.mktemp("integrity")
    place = Place(root / "here")
    for count in (5, 4, 3):
        place.write(count)
        place.land()
    place.copy(root / "kept")
    return place, root / "kept"


@pytest.fixture
def place(prepared: tuple[Place, Path]) -> Place:
    """Return the prepared place as it was, whatever the test before did to it."""
    first, kept = prepared
    for name in FOLDERS:
        shutil.rmtree(first.root / name, ignore_errors=True)
        shutil.copytree(kept / name, first.root / name, symlinks=True)
    return Place(first.root, first.entries)
