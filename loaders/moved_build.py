"""Recognize a published build that was moved: its views name files that are beside its catalog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_FILE = re.compile(r"'(?P<folder>(?:[^']|'')*)/[^/']+\.parquet'")

CATALOG = "catalog.duckdb"
"""The database beside the files of a published build."""

READING_CATALOG = "reading.duckdb"
"""The database beside it with what people know sessions by, which is text of conversations."""

READING_SESSIONS = "reading.sessions.parquet"
"""The file of its table ``sessions``; a build of an older version does not have it."""


def views_elsewhere(build: Any, folder: Path) -> dict[str, str]:
    """Return the gold views of a build that was moved to ``folder``, with their text rewritten.

    A build names its files by their absolute paths, and they are always beside its catalog. Empty
    if they are named where they are.
    """
    views = dict(
        build.execute(
            "select view_name, sql from duckdb_views() where schema_name = 'gold'"
        ).fetchall()
    )
    found = next((match for text in views.values() if (match := _FILE.search(text))), None)
    here = str(folder).replace("'", "''")
    if found is None or found["folder"] == here:
        return {}
    old, new = f"'{found['folder']}/", f"'{here}/"
    return {name: text.replace(old, new).partition(" AS ")[2] for name, text in views.items()}
