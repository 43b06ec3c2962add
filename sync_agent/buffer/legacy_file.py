"""Finding the file of the original service's buffer, and moving it out of the way untouched.

Its rows are not taken over: their columns are not documented. Transcripts are read from the start.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from itertools import count
from pathlib import Path
from urllib.parse import quote

_ASIDE = ".legacy"
_COMPANIONS = ("-wal", "-shm")


def is_legacy(path: Path) -> bool:
    """Return whether the file at ``path`` is a buffer of the original service; changes nothing."""
    if not path.is_file():
        return False
    try:
        with contextlib.closing(_opened(path)) as connection:
            tables = _tables(connection)
            return "pending_entries" in tables and not {"meta", "records"} & tables
    except sqlite3.Error:
        return False  # no database, or a corrupt one: opening it for writing reports it


def set_aside(path: Path) -> Path | None:
    """Move a buffer of the original service out of the way of ours; return where it is now.

    The file and its log keep every byte. The file gets its new name beside the old one first, so a
    crash between any two steps leaves both names of one file, and the next start goes on there.
    """
    if not path.exists():
        return None
    aside = next((one for one in _set_aside_before(path) if one.samefile(path)), None)
    if aside is None:
        if not is_legacy(path):
            return None
        aside = _free_name(path)
        with contextlib.suppress(OSError):  # a file system without links: then it is renamed last
            aside.hardlink_to(path)
    for suffix in _COMPANIONS:
        _move(_beside(path, suffix), _beside(aside, suffix))
    if aside.exists():
        path.unlink()
    else:
        path.rename(aside)
    return aside


def _move(path: Path, aside: Path) -> None:
    """Move a companion; one that is empty was made by looking, and its content is there already."""
    if path.exists() and aside.exists() and path.stat().st_size == 0:
        path.unlink()
    else:
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("select name from sqlite_master where type = 'table'")
    return {name for (name,) in rows}


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(bytes(path))}?mode=ro", uri=True, timeout=10)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _free_name(path: Path) -> Path:
    """Return a name beside ``path`` at which nothing was set aside before."""
    for number in count(1):
        aside = _beside(path, _ASIDE if number == 1 else f"{_ASIDE}-{number}")
        if not aside.exists():
            return aside
    raise AssertionError("numbers do not end")


def _set_aside_before(path: Path) -> list[Path]:
    pattern = re.compile(re.escape(path.name + _ASIDE) + r"(-[0-9]+)?")
    if not path.parent.is_dir():
        return []
    return sorted(one for one in path.parent.iterdir() if pattern.fullmatch(one.name))
