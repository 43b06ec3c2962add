"""A place with transcripts for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync_agent.places import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty root with a buffer beside it."""
    return Place(tmp_path)
