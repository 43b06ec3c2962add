"""What an archive holds: consistent copies of buffer and catalog, the lake's files, settings."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from annals.buffer import connection as buffers
from annals.buffer.faults import translated
from annals.errors import LakeError, LocalBufferError, SettingsError
from annals.lake import is_elsewhere
from annals.lake.catalog_file import NEWEST_METADATA, catalog_file
from annals.settings import Settings
from annals.settings.harmless import shown_setting
from operations.backup.manifest import LAKE, LakeNames

_BESIDES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Source:
    """A file for the archive: its path in there, and where it is."""

    name: str
    path: Path


def lake_names(settings: Settings) -> LakeNames:
    """Return where these settings say that the lake is."""
    return LakeNames(
        folder=str(settings.lake_folder),
        catalog=settings.iceberg_catalog_name,
        namespace=settings.iceberg_namespace,
        table=settings.iceberg_table_name,
    )


def on_this_disk(settings: Settings, folder: Path) -> Settings:
    """Return settings for the lake as a lake on this disk: in ``folder`` where it is elsewhere."""
    if not is_elsewhere(settings):
        return settings
    from extractors.lake.copying import fetch_lake

    fetch_lake(settings, folder)
    return local_settings(settings, folder)


def local_settings(settings: Settings, folder: Path) -> Settings:
    """Return the same settings for a lake with a catalog file in ``folder``."""
    changes = {
        "iceberg_catalog_type": "sql",
        "iceberg_catalog_uri": None,
        "iceberg_warehouse_path": folder,
    }
    return settings.model_copy(update=changes)


def require_own_catalog(settings: Settings) -> Path:
    """Return the catalog's SQLite file; raise SettingsError where it is in another database."""
    catalog = catalog_file(settings)
    if catalog is None:
        raise SettingsError(
            "the lake's catalog is a database server, which only its own tools can back up",
            hint="Back up that database and the lake's folder together, while the pipeline stands"
            " still.",
        )
    return catalog


def metadata_file(catalog: Path, names: LakeNames) -> Path:
    """Return the newest metadata file of the lake's table."""
    from extractors.lake.relocation import local_path

    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        (location,) = connection.execute(
            NEWEST_METADATA,
            (names.catalog, names.namespace, names.table),
        ).fetchone()
    return local_path(location)


def lake_files(settings: Settings, catalog: Path) -> Iterator[Source]:
    """Yield every file in the lake's folder but the catalog, sorted by name.

    Raises LakeError for a folder that cannot be listed: its files would be left out.
    """
    left_out = {catalog.with_name(catalog.name + end) for end in _BESIDES}
    for folder, _, names in sorted(os.walk(settings.lake_folder, onerror=_refuse)):
        for path in sorted(Path(folder, name) for name in names):
            if path not in left_out:
                relative = path.relative_to(settings.lake_folder).as_posix()
                yield Source(f"{LAKE}/{relative}", path)


def _refuse(error: OSError) -> None:
    raise LakeError(
        f"the folder {error.filename} of the lake cannot be listed: {error.strerror}",
        hint="Give this user the right to read it (chmod -R u+rX), then run the command again.",
        path=error.filename,
    ) from error


def copy_buffer(path: Path, copy: Path) -> str:
    """Copy the buffer as it is at one moment, while others may write it; return its agent id."""
    with (
        contextlib.closing(buffers.connect(path, mode="ro")) as source,
        translated(path),
    ):
        _copy(source, copy)
        agent_id = buffers.agent_id_of(source)
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        (found,) = connection.execute("pragma quick_check(1)").fetchone()
    if found != "ok":
        raise LocalBufferError(
            f"the buffer {path} is damaged, and no backup was made: {found}",
            hint="Run `annals sync once`: it sets the file aside and salvages it. Then try again.",
            path=path,
        )
    return agent_id


def copy_catalog(path: Path, copy: Path) -> None:
    """Copy the catalog as it is at one moment."""
    with contextlib.closing(sqlite3.connect(path)) as source:
        _copy(source, copy)


def _copy(source: sqlite3.Connection, copy: Path) -> None:
    """Copy a database in one step, as one file without a log beside it."""
    with contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("pragma journal_mode = delete")


def settings_text(settings: Settings) -> str:
    """Return the settings that are not defaults as a file of variables.

    Only what may be shown as it is has its value there; of the others nothing but the name.
    """
    lines = []
    for name in sorted({*settings.model_fields_set, "timezone"}):
        value = getattr(settings, name)
        if value is None:
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if shown_setting(name, value) == text:
            lines.append(f"{name.upper()}={shlex.quote(text)}\n")
        else:
            lines.append(f"# {name.upper()} was set; it can hold a secret and is left out\n")
    return "# Settings that were in force when the backup was made.\n" + "".join(lines)
