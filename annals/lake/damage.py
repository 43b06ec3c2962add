"""Name the file of a lake that is missing or damaged, whatever a library raised because of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annals.errors import AnalyticsError, LakeDamageError
from annals.lake.checksums import Checksums, damaged_file
from annals.lake.content import STEP_BYTES, content_hash, hash_file, local_path, named_hash


def find_damage(table: Any, checksums: Checksums, error: Exception) -> AnalyticsError:
    """Return the error that names the damaged file of an Iceberg table.

    ``error`` is what was raised while the table was read. Each file is read the same way again, in
    the order in which one names the next; the first one that fails is the damaged one.
    """
    place = table.metadata_location
    try:
        checksums.require([place])
        if snapshot := table.current_snapshot():
            place = snapshot.manifest_list
            checksums.require([place])
            for manifest in snapshot.manifests(table.io):
                place = manifest.manifest_path
                checksums.require([place])
                for entry in manifest.fetch_manifest_entry(table.io):
                    place = entry.data_file.file_path
                    require_data_file(place, entry.data_file.file_size_in_bytes)
    except LakeDamageError as known:
        return known
    except Exception as again:  # noqa: BLE001 -- a library raises anything at damaged input
        return damaged_file(local_path(place) or place, f"{type(again).__name__}: {again}")
    return damaged_file(local_path(place) or place, f"{type(error).__name__}: {error}")


def require_data_file(location: str, size: int) -> None:
    """Raise LakeDamageError if a local data file is missing or not the one that was written."""
    path = local_path(location)
    if path is None:
        return
    try:
        found = path.stat().st_size
        if found != size:
            raise damaged_file(path, f"{found} bytes instead of {size}")
        wanted = named_hash(location)
        if wanted is not None and hash_file(path) != wanted:
            raise damaged_file(path, "its bytes do not have the hash that they were written with")
    except OSError as error:
        raise damaged_file(path, error.strerror or str(error)) from error


def is_whole(file: Any, io: Any) -> bool:
    """Return whether an Iceberg data file is what was written.

    One in an object store is read by way of ``io``, if its name carries its hash. Raises what a
    store raises that does not answer.
    """
    if local_path(file.file_path) is None:
        return _is_whole_object(file, io)
    try:
        require_data_file(file.file_path, file.file_size_in_bytes)
    except LakeDamageError:
        return False
    return True


def data_file_place(location: str) -> str:
    """Return how a data file is called: by its path on this machine, or by its address."""
    return str(local_path(location) or location)


def _is_whole_object(file: Any, io: Any) -> bool:
    wanted = named_hash(file.file_path)
    if wanted is None:
        return True
    try:
        with io.new_input(file.file_path).open() as stream:
            return content_hash(iter(lambda: stream.read(STEP_BYTES), b"")) == wanted
    except FileNotFoundError:
        return False


def live_files(table: Any) -> Iterator[Any]:
    """Yield each data file of an Iceberg table's newest snapshot, as the manifests have it."""
    if snapshot := table.current_snapshot():
        for manifest in snapshot.manifests(table.io):
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file
