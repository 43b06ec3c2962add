"""The bundled sample: what a machine without transcripts is shown, kept apart from real state."""

from __future__ import annotations

import os
from pathlib import Path

from annals.resources import resource
from annals.settings.model import Settings
from annals.settings.roots import holds_transcripts, known_places

SAMPLE_TRANSCRIPTS = resource("examples/transcripts")
"""The bundled transcripts."""

_STATE = frozenset(
    {"claude_dir", "sqlite_path", "annals_home", "iceberg_warehouse_path", "publish_path"}
)
"""Settings that name transcripts or state; where one is wrong, nobody knows what was kept."""


def wants_sample(settings: Settings) -> bool:
    """Tell whether these settings mean the sample.

    They do if nobody named a ``CLAUDE_DIR``, no place where Claude Code keeps transcripts holds
    one, and nothing was ever kept on this machine: a folder that is only unmounted never turns into
    the sample, nor does one that may not be looked into.
    """
    is_named = "claude_dir" in settings.model_fields_set or not _STATE.isdisjoint(settings.invalid)
    if is_named or any(map(holds_transcripts, _places())):
        return False
    kept = (settings.sqlite_path, settings.lake_folder, settings.builds_folder)
    return not any(path.exists() for path in kept)


def sample_note() -> str:
    """Return the line that says why the sample is shown; with its label it fits 80 columns."""
    return "no transcripts found, showing the bundled sample; set CLAUDE_DIR to yours"


def _places() -> tuple[Path, ...]:
    return known_places(os.environ)


def sample_settings(settings: Settings) -> Settings:
    """Return ``settings`` with the sample as input and a state folder of its own.

    Everything goes below ``ANNALS_HOME/sample``, also where paths were set one by one.
    """
    home = settings.annals_home / "sample"
    return settings.model_copy(
        update={
            "claude_dir": SAMPLE_TRANSCRIPTS,
            "annals_home": home,
            "sqlite_path": home / "buffer.db",
            "duckdb_path": None,
            "iceberg_warehouse_path": None,
            "iceberg_catalog_type": "sql",
            "iceberg_catalog_uri": None,
            "publish_path": None,
            "mongo_uri": None,
        }
    )
