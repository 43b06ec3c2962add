"""A buffer and a lake of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from annals.records import Record
from annals.settings import Settings, load_settings
from extractors.local import LocalSource
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


@pytest.fixture
def records(buffer: Buffer) -> list[Record]:
    """Return ten records of three sessions, as they come out of a buffer."""
    for number in range(10):
        buffer.append_entries(1, session_id=f"s{number % 3}")
    source = LocalSource(buffer.path)
    return next(source.read(buffer.agent_id, after=0, through=10))
