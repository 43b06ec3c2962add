"""An agent whose records are on a real server, for tests of what becomes of them there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent


@contextlib.contextmanager
def shipped_agent(folder: Path, mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Yield an agent that shipped 12 records of no transcript; commands have its settings."""
    (folder / "projects").mkdir()
    found = Agent(
        folder / "sync" / "buffer.db",
        mongo,
        annals_home=folder / "annals",
        claude_dir=folder / "projects",
    )
    with contextlib.closing(found):
        found.buffer.append_entries(12)
        found.ship()
        for name in ("annals_home", "sqlite_path", "claude_dir", "mongo_db"):
            monkeypatch.setenv(name.upper(), str(getattr(found.settings, name)))
        assert found.settings.mongo_uri is not None
        monkeypatch.setenv("MONGO_URI", found.settings.mongo_uri.get_secret_value())
        yield found
