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


def _root(part: str) -> Path:
    require_home(part)
    return Path(part).expanduser().absolute()


def joined_roots(value: Any) -> Any:
    """Return folders, given one by one or joined as in ``PATH``, as one text of real paths."""
    if isinstance(value, str | Path):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    parts = [part for one in value for part in str(one).split(os.pathsep) if part]
    roots = dict.fromkeys(Path(os.path.realpath(_root(part))) for part in parts)
    for root in roots:
        for other in roots:
            if other is not root and other.is_relative_to(root):
                raise ValueError(f"{other} lies below {root}; name only one of the two")
    return Path(os.pathsep.join(map(str, roots))) if roots else value
