"""Paths in settings: what is refused before a store below us takes it for another place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from annals.settings.roots import resolve_root


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
    path = _at_home(value).absolute()
    text = str(path)
    if not text.isprintable() and any(ord(letter) < 32 or ord(letter) == 127 for letter in text):  # noqa: PLR2004
        raise ValueError(f"{text!r} has control characters in it; name another folder")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!a} is not UTF-8; name another folder") from error
    return path


def _at_home(value: str | Path) -> Path:
    require_home(value)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        user = Path(value).parts[0].removeprefix("~")
        raise ValueError(f"{str(value)!r} names a user who is unknown here: {user!r}") from error


def joined_roots(value: Any) -> Any:
    """Return folders, given one by one or joined as in ``PATH``, as one text of real paths."""
    if isinstance(value, str | Path):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    parts = [part for one in value for part in str(one).split(os.pathsep) if part]
    if not parts:
        raise ValueError("names no folder")
    roots = dict.fromkeys(Path(os.path.realpath(_at_home(part).absolute())) for part in parts)
    meant = dict.fromkeys(resolve_root(root) for root in roots)
    for root in meant:
        for other in meant:
            if other is not root and other.is_relative_to(root):
                raise ValueError(f"{other} lies below {root}; name only one of the two")
    return Path(os.pathsep.join(map(str, roots)))
