"""Make the head of a damaged lake whole again, from older versions of its metadata.

Nothing is deleted: what is damaged stays beside the lake under another name.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annals.errors import LakeDamageError
from annals.files import set_aside
from annals.lake import is_elsewhere
from annals.lake.catalog_file import catalog_file, checksums_of, table_row
from annals.lake.checksums import Checksums
from annals.lake.content import local_path
from annals.limits import METADATA_BYTES, parse_json, read_file
from annals.settings import Settings
from extractors.lake.avro_files import open_avro
from extractors.lake.catalog import connect_catalog, table_identifier
from extractors.lake.noted import noted_location

_POINT = (
    "update iceberg_tables set metadata_location = ?"
    " where catalog_name = ? and table_namespace = ? and table_name = ?"
)
_SIDECARS = ("", "-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was made whole: the catalog or the head of the lake.

    ``metadata`` is the file that is the newest now; ``set_aside`` are the damaged files.
    """

    metadata: Path
    set_aside: tuple[Path, ...]


def recover_head(settings: Settings) -> Recovered | None:
    """Let the catalog name the newest metadata file that can be read down to its manifests.

    A damaged catalog file is set aside and made again. Return None if there is nothing to recover.
    What older versions lack is extracted again: a source forgets only what every snapshot within
    reach of a rollback holds. Raises LakeDamageError if no version of the metadata is whole.
    """
    catalog = catalog_file(settings)
    if is_elsewhere(settings) or catalog is None:
        return None
    checksums = checksums_of(settings)
    current = noted_location(settings)
    if current is not None and is_whole(current, checksums):
        return None
    versions = list(metadata_versions(settings))
    if not versions:
        return None
    whole = next((path for path in versions if is_whole(path, checksums)), None)
    if whole is None:
        raise LakeDamageError(
            f"no version of the metadata of the lake {settings.lake_folder} is whole",
            hint="Restore the lake from a backup: `annals restore FILE`. Nothing was changed.",
            path=versions[0],
        )
    if current is None:
        return Recovered(whole, _make_catalog(settings, catalog, whole))
    _point(settings, catalog, whole)
    return Recovered(whole, ())


def metadata_versions(settings: Settings) -> Iterator[Path]:
    """Yield the metadata files of the table, the newest first."""
    folder = settings.lake_folder / settings.iceberg_namespace / settings.iceberg_table_name
    found = (folder / "metadata").glob("*.metadata.json")
    yield from sorted(found, key=_version, reverse=True)


def is_whole(metadata: Path, checksums: Checksums) -> bool:
    """Return whether a metadata file and all that its newest snapshot is read from are whole."""
    try:
        checksums.require([str(metadata)])
        content = parse_json(read_file(metadata, limit=METADATA_BYTES))
        newest = content.get("current-snapshot-id")
        if newest in (None, -1):
            return bool(content["table-uuid"])
        lists = {one["snapshot-id"]: one["manifest-list"] for one in content["snapshots"]}
        checksums.require([lists[newest]])
        for manifest in _records(lists[newest]):
            checksums.require([manifest["manifest_path"]])
            for _ in _records(manifest["manifest_path"]):
                pass
    except Exception:  # noqa: BLE001 -- a library raises anything at damaged input
        return False
    return True


def _records(location: str) -> Iterator[Any]:
    path = local_path(location)
    if path is not None:
        with path.open("rb") as file:
            yield from open_avro(file)


def _version(path: Path) -> tuple[int, int]:
    number, _, _ = path.name.partition("-")
    written = 0
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        written = int(parse_json(read_file(path, limit=METADATA_BYTES)).get("last-updated-ms", 0))
    return (int(number) if number.isdigit() else -1), written


def _make_catalog(settings: Settings, catalog: Path, metadata: Path) -> tuple[Path, ...]:
    beside = [catalog.with_name(catalog.name + end) for end in _SIDECARS]
    kept = tuple(set_aside(path) for path in beside if path.exists())
    with contextlib.closing(connect_catalog(settings)) as made:
        identifier = table_identifier(settings)
        made.create_namespace_if_not_exists(identifier[:-1])
        made.register_table(identifier, f"file://{metadata}")
    return kept


def _point(settings: Settings, catalog: Path, metadata: Path) -> None:
    with contextlib.closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute(_POINT, (f"file://{metadata}", *table_row(settings)))
