"""Compare the objects of a lake in a store with what its snapshots name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyarrow.fs import FileSelector

from annals.lake.damage import is_whole
from extractors.lake.durable import DurableFileIO
from extractors.lake.table import Lake


def damaged_objects(lake: Lake, *, deep: bool) -> tuple[int, list[str]]:
    """Return the number of data files of all snapshots, and what is wrong with each damaged one.

    Names and sizes are listed, a request for each thousand; with ``deep`` each file is read and
    compared with its hash. Raises LakeDamageError for damaged metadata, DependencyError.
    """
    faults = []
    with lake.reading() as table:
        sizes = _listed_sizes(table)
        files = {file.file_path: file for file in _data_files(table)}
        for location, file in files.items():
            size = sizes.get(location.partition("://")[2])
            if size is None:
                faults.append(f"the lake's file {location} is missing")
            elif size != file.file_size_in_bytes:
                faults.append(
                    f"the lake's file {location} is damaged: {size} bytes instead of"
                    f" {file.file_size_in_bytes}"
                )
            elif deep and not is_whole(file, table.io):
                faults.append(f"the lake's file {location} is damaged: it does not have its hash")
    return len(files), faults


def _listed_sizes(table: Any) -> dict[str, int]:
    io = DurableFileIO(table.io.properties)
    scheme, host, path = io.parse_location(table.location(), io.properties)
    listed = io.fs_by_scheme(scheme, host).get_file_info(
        FileSelector(path, recursive=True, allow_not_found=True)
    )
    return {found.path: found.size for found in listed if found.is_file}


def _data_files(table: Any) -> Iterator[Any]:
    """Yield the data files of every snapshot; a manifest that several share is read once."""
    manifests = {
        manifest.manifest_path: manifest
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
    }
    for manifest in manifests.values():
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file
