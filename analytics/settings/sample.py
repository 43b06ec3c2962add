"""The bundled sample: what a machine without transcripts is shown, kept apart from real state."""

from __future__ import annotations

import os
from pathlib import Path

from analytics.settings.model import Settings

SAMPLE_TRANSCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "transcripts"
"""The bundled transcripts: beside the packages, in a checkout and in an installed wheel alike."""


def wants_sample(settings: Settings) -> bool:
    """Tell whether these settings mean the sample.

    They do where nobody named a ``CLAUDE_DIR``, the default folder holds no transcript, and
    nothing was ever kept on this machine: a folder that is only unmounted never turns into the
    sample, nor does one that may not be looked into.
    """
    if "claude_dir" in settings.model_fields_set or not all(map(_is_bare, settings.claude_dirs)):
        return False
    kept = (settings.sqlite_path, settings.lake_folder, settings.builds_folder)
    return not any(path.exists() for path in kept)


def _is_bare(root: Path) -> bool:
    if not root.exists():
        return True
    is_open = root.is_dir() and os.access(root, os.R_OK | os.X_OK)
    return is_open and next(root.rglob("*.jsonl"), None) is None


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
