"""Which files a lake's metadata may name: those below the lake's own folder, and no others.

Metadata can come from an archive of others, or be written by anyone who can write the lake. A
location is taken apart once; one with ``..``, another scheme or a folder of its own is refused
by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from annals.errors import LakeDamageError

_SCHEMES = ("file://", "file:")
_NAMES = frozenset(
    (
        *("location", "metadata-file", "manifest-list", "statistics-path", "metadata_location"),
        *("previous_metadata_location", "manifest_path", "file_path", "referenced_data_file"),
        *("write.data.path", "write.metadata.path", "write.object-storage.path"),
    )
)


def require_inside(location: str, folder: Path) -> Path:
    """Return the path of a location below ``folder``.

    Raises LakeDamageError (exit 9) for every other location.
    """
    path = location
    for scheme in _SCHEMES:
        if location.startswith(scheme):
            path = location.removeprefix(scheme)
            break
    if _is_plain(path) and (_is_below(path, str(folder)) or _is_really_below(path, folder)):
        return Path(path)
    raise LakeDamageError(
        f"the lake's metadata names {location[:300]!r}, which is not below its folder {folder}",
        hint="Restore the lake from a backup of yours: `annals restore FILE`. Nothing was read"
        " from there.",
        path=folder,
    )


def locations_in(value: Any) -> Iterator[str]:
    """Yield every location in a piece of metadata, whatever its shape."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name in _NAMES and isinstance(member, str):
                yield member
            else:
                yield from locations_in(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from locations_in(member)


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return path.startswith("/") and "\0" not in path and {"", ".", ".."}.isdisjoint(parts[1:])


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _is_really_below(path: str, folder: Path) -> bool:
    """Return whether the lake is named by another name of the same folder."""
    try:
        return _is_below(os.path.realpath(path), os.path.realpath(folder))
    except (OSError, ValueError):
        return False
