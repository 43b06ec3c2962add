from __future__ import annotations

import importlib
import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annals.settings import Settings
from extractors.extract import extract
from tests.extractors.buffers import Buffer
from tests.extractors.lakes import ids, positions

POINTS = [
    ("extractors.sources", "claim_identity", "after"),
    ("extractors.writing", "to_arrow", "before"),
    ("extractors.lake.table", "write_parquet", "before"),
    ("extractors.lake.table", "write_parquet", "after"),
    ("extractors.lake.table", "parquet_file_to_data_file", "after"),
    ("extractors.lake", "Lake.commit", "before"),
    ("pyiceberg.table.update.snapshot", "write_manifest", "after"),
    ("pyiceberg.table.update.snapshot", "write_manifest_list", "after"),
    ("pyiceberg.catalog.sql", "SqlCatalog._write_metadata", "before"),
    ("pyiceberg.catalog.sql", "SqlCatalog._write_metadata", "after"),
    ("sqlalchemy.orm", "Session.commit", "before"),
    ("sqlalchemy.orm", "Session.commit", "after"),
    ("extractors.lake", "Lake.commit", "after"),
    ("extractors.local", "LocalSource.acknowledge", "before"),
    ("extractors.local", "LocalSource.acknowledge", "after"),
]


def dying(real: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return a function that ends its process, before or after it has done its work."""

    def die(*args: Any, **options: Any) -> Any:
        if when == "after":
            real(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


def die_at(module: str, name: str, when: str) -> None:
    """Let this process die where it comes to a function, before or after that has done its work."""
    owner: Any = importlib.import_module(module)
    *path, attribute = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    is_static = isinstance(inspect.getattr_static(owner, attribute), staticmethod)
    death = dying(getattr(owner, attribute), when)
    setattr(owner, attribute, staticmethod(death) if is_static else death)


def extract_and_die(settings: Settings, module: str, name: str, when: str) -> bool:
    """Extract in a child process that dies at a point; return whether it came that far."""
    child = os.fork()
    if child == 0:
        try:  # whatever happens, this process never goes on with the tests
            die_at(module, name, when)
            extract(settings)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("is_first", [True, False], ids=["new-lake", "old-lake"])
@pytest.mark.parametrize(("module", "name", "when"), POINTS)
def test_death_at_any_point(
    buffer: Buffer, settings: Settings, module: str, name: str, when: str, is_first: bool
) -> None:
    """P-18: killed at any point and run again, the lake has every record exactly once."""
    expected = buffer.append_entries(4)
    if not is_first:
        extract(settings)
        expected += buffer.append_entries(3)
    assert extract_and_die(settings, module, name, when)
    expected += buffer.append_entries(2)
    extract(settings)
    assert ids(settings) == dict.fromkeys(expected, 1)
    assert positions(settings) == {buffer.agent_id: len(expected)}
    assert extract(settings).snapshots_committed == 0
    assert extract(settings, full_backfill=True).entries_new == 0


def test_death_between_two_commits(buffer: Buffer, settings: Settings, tmp_path: Path) -> None:
    """P-18: of a long extraction that died between two commits the first one stays."""
    expected = buffer.append_entries(10)
    marker = tmp_path / "first"
    child = os.fork()
    if child == 0:
        from extractors import extract as stage
        from extractors import local, writing
        from extractors.lake import Lake

        local.BATCH_RECORDS, writing.CHUNK_BYTES, stage.COMMIT_BYTES = 2, 1, 1
        real = Lake.commit

        def commit(*args: Any, **options: Any) -> Any:
            if marker.exists():
                os.kill(os.getpid(), signal.SIGKILL)
            marker.touch()
            return real(*args, **options)

        Lake.commit = commit  # type: ignore[method-assign]
        try:
            extract(settings)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    begun = ids(settings)
    assert 0 < len(begun) < 10
    assert extract(settings).records_read == 10 - len(begun)
    assert ids(settings) == dict.fromkeys(expected, 1)
