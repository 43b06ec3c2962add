"""When the bundled sample is meant, and that it touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from annals.settings import load_settings
from annals.settings.sample import SAMPLE_TRANSCRIPTS, sample_settings, wants_sample


def test_a_machine_without_transcripts_means_the_sample() -> None:
    """No CLAUDE_DIR given, no default folder, nothing kept: the sample."""
    assert wants_sample(load_settings())


@pytest.mark.parametrize(
    ("found", "meant"),
    [(None, True), ("-home-me/", True), ("-home-me/notes.txt", True), ("-home-me/s.jsonl", False)],
)
def test_a_default_folder_without_a_transcript_means_the_sample(
    found: str | None, meant: bool, home: Path
) -> None:
    """A folder that was made and never written to is not a transcripts; one transcript is."""
    projects = home / ".claude" / "projects"
    projects.mkdir(parents=True)
    if found is not None:
        (projects / found).parent.mkdir(exist_ok=True)
        (projects / found).mkdir() if found.endswith("/") else (projects / found).touch()
    assert wants_sample(load_settings()) is meant


def test_a_default_folder_that_is_a_file_never_means_the_sample(home: Path) -> None:
    """What cannot be looked into is told, not replaced by something else."""
    (home / ".claude").mkdir()
    (home / ".claude" / "projects").touch()
    assert not wants_sample(load_settings())


def test_a_folder_that_was_named_never_means_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLAUDE_DIR that somebody set is meant, also where it is missing."""
    monkeypatch.setenv("CLAUDE_DIR", "/no/such/folder")
    assert not wants_sample(load_settings())


@pytest.mark.parametrize(
    "kept", [".claude-sync/buffer.db", ".annals/iceberg/x", ".annals/published/x"]
)
def test_a_missing_folder_after_a_real_run_is_no_sample(kept: str, home: Path) -> None:
    """Where something was kept before, a missing folder is unmounted, not absent."""
    (home / kept).parent.mkdir(parents=True)
    (home / kept).touch()
    assert not wants_sample(load_settings())


def test_the_sample_has_a_state_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path of the real state is left in the sample's settings, also where it was set by name."""
    for name in ("DUCKDB_PATH", "ICEBERG_WAREHOUSE_PATH", "PUBLISH_PATH", "SQLITE_PATH"):
        monkeypatch.setenv(name, str(home / "real" / name))
    sample = sample_settings(load_settings())
    place = home / ".annals" / "sample"
    assert sample.claude_dir == SAMPLE_TRANSCRIPTS
    for path in (
        sample.sqlite_path,
        sample.warehouse_file,
        sample.lake_folder,
        sample.builds_folder,
        sample.pipeline_lock,
        sample.buffer_lock,
    ):
        assert path.is_relative_to(place)
