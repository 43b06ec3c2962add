"""Tell a lake that was moved from one that lost files: paths in files are not identity."""

from __future__ import annotations

from pathlib import Path

from annals.errors import LakeDamageError
from annals.lake.places import is_elsewhere
from annals.settings import Settings


def moved_from(noted: Path, settings: Settings) -> Path | None:
    """Return the folder that the lake was moved from, or None if it was not moved.

    ``noted`` is a file of the lake as its metadata names it. The lake was moved if the same file
    is below the folder that the settings name, and that is another file than the noted one.
    """
    folder = settings.lake_folder
    if is_elsewhere(settings) or ".." in noted.parts or noted.is_relative_to(folder):
        return None
    table = (*settings.iceberg_namespace.split("."), settings.iceberg_table_name)
    for parts in (table, (settings.iceberg_namespace, settings.iceberg_table_name)):
        if old := _root_above(noted, parts):
            present = folder / noted.relative_to(old)
            is_same = noted.exists() and present.exists() and noted.samefile(present)
            return old if present.exists() and not is_same else None
    return None


def moved_error(old: Path, settings: Settings) -> LakeDamageError:
    """Return the error for a lake that was moved, and that this command may not change."""
    return LakeDamageError(
        f"the lake was moved from {old} to {settings.lake_folder}, and its metadata still names"
        " the old folder",
        hint="Run `annals pipeline` or `annals repair`: both rewrite the paths. Nothing is lost.",
        path=settings.lake_folder,
        moved_from=old,
    )


def _root_above(noted: Path, table: tuple[str, ...]) -> Path | None:
    """Return the folder that has the table's folder with ``noted`` in it."""
    parts = noted.parts
    for end in range(len(parts) - 2, len(table), -1):
        if parts[end - len(table) : end] == table and parts[end] in ("metadata", "data"):
            return Path(*parts[: end - len(table)])
    return None
