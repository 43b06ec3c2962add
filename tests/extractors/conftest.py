"""A buffer and a lake of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.settings import Settings, load_settings
from tests.extractors.buffers import Buffer


@pytest.fixture
def buffer(tmp_path: Path) -> Buffer:
    """Return an empty buffer."""
    return Buffer(tmp_path / "sync" / "buffer.db")


@pytest.fixture
def settings(tmp_path: Path, buffer: Buffer) -> Settings:
    """Return settings for that buffer and a lake beside it."""
    return load_settings(
        sqlite_path=buffer.path, annals_home=tmp_path / "annals", rollback_snapshots=3
    )
