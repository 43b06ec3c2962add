"""Paths in settings: what is refused before a store below us takes it for another place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def require_home(value: str | Path) -> None:
    """Raise ValueError if a path begins with ``~`` and HOME is not set."""
    if Path(value).parts[:1] == ("~",) and not os.environ.get("HOME"):
        raise ValueError(f"{value} lies in the home folder, but HOME is not set")


def expanded_path(value: Any) -> Any:
    """Return a path as an absolute one, with ``~`` for the home folder.

    Raises ValueError for one with control characters or bytes that are not UTF-8: Iceberg, DuckDB
    and dbt would look in another folder, or fail later.
    """
    if not isinstance(value, str | Path):
        return value
    require_home(value)
    path = Path(value).expanduser().absolute()
    text = str(path)
    if not text.isprintable() and any(ord(letter) < 32 or ord(letter) == 127 for letter in text):  # noqa: PLR2004
        raise ValueError(f"{text!r} has control characters in it; name another folder")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!a} is not UTF-8; name another folder") from error
    return path
