"""Which files a lake consists of, and what has to be rewritten where its folder is another one.

Iceberg's metadata names every file by its absolute location: the metadata file its manifest lists,
a list its manifests, a manifest its data files. Lists and manifests are Avro files; they are
rewritten with the schema and the properties that they had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import connect
from typing import Any

import fastavro

from annals.errors import AnalyticsError, IntegrityError
from annals.files import replace_text, replacing
from annals.lake.boundary import locations_in, require_inside
from annals.lake.checksums import DROP_CHECKSUMS, Checksums, damaged_file
from annals.lake.damage import require_data_file
from annals.limits import METADATA_BYTES, parse_json, read_file
from extractors.lake.avro_files import open_avro

_DELETED = 2
_LIST, _MANIFEST = "manifest_file", "manifest_entry"
_SCHEMES = ("file://", "file:", "")
_CATALOG_COLUMNS = (
    ("iceberg_tables", "metadata_location"),
    ("iceberg_tables", "previous_metadata_location"),
    ("iceberg_namespace_properties", "property_value"),
)

Moved = Callable[[Any], Any]
"""Returns a value of any shape with every location in it as it is in the new place."""


def require_whole(metadata: Path) -> int:
    """Return how many files the lake with this newest metadata file consists of.

    Of every snapshot that is kept. Raises IntegrityError (exit 9) naming the first file that is
    missing or has another size.
    """
    known: dict[str, int] = {str(metadata): 0}
    for snapshot in _json(metadata).get("snapshots", ()):
        listed = _require(known, snapshot["manifest-list"], None)
        for manifest in _records(listed) if listed else ():
            path = _require(known, manifest["manifest_path"], manifest["manifest_length"])
            for entry in _records(path) if path else ():
                if entry["status"] != _DELETED:
                    file = entry["data_file"]
                    _require(known, file["file_path"], file["file_size_in_bytes"])
    return len(known)


def lake_locations(metadata: Path, checksums: Checksums) -> Iterator[Callable[[], None]]:
    """Yield a check for each file of the lake; it raises IntegrityError (exit 9) naming the file.

    The files of every snapshot that is kept. What a damaged file names is left out.
    """
    seen: set[str] = set()

    def once(location: str) -> bool:
        is_new = location not in seen
        seen.add(location)
        return is_new

    yield partial(checksums.require, [str(metadata)])
    for listed in _snapshot_lists(metadata):
        if not once(listed):
            continue
        yield partial(_require_readable, listed, checksums)
        for manifest in _readable(listed):
            location = manifest["manifest_path"]
            if not once(location):
                continue
            yield partial(_require_readable, location, checksums, manifest["manifest_length"])
            for entry in _readable(location):
                file = entry["data_file"]
                if entry["status"] != _DELETED and once(file["file_path"]):
                    size = file["file_size_in_bytes"]
                    yield partial(require_data_file, file["file_path"], size)


def newest_data_files(metadata: Path) -> set[str]:
    """Return the paths of the data files of the newest snapshot."""
    content = _json(metadata)
    newest = content.get("current-snapshot-id")
    return {
        str(local_path(entry["data_file"]["file_path"]))
        for snapshot in content.get("snapshots", ())
        if snapshot["snapshot-id"] == newest
        for manifest in _readable(snapshot["manifest-list"])
        for entry in _readable(manifest["manifest_path"])
        if entry["status"] != _DELETED
    }


def _snapshot_lists(metadata: Path) -> list[str]:
    return [one["manifest-list"] for one in _json(metadata).get("snapshots", ())]


def _require_readable(location: str, checksums: Checksums, size: int | None = None) -> None:
    _require({}, location, size)
    checksums.require([location])
    for _ in _records(local_path(location)):
        pass


def _readable(location: str) -> list[Any]:
    try:
        return list(_records(local_path(location)))
    except IntegrityError:
        return []


def relocate_files(folder: Path, *, old: Path | str, new: Path | str) -> None:
    """Rewrite the metadata below ``folder``, so that a lake from ``old`` works as ``new``.

    Both are folders, or addresses in an object store; ``folder`` is where the files are for the
    moment. Raises IntegrityError for metadata that cannot be read.
    """
    moved = _mover(old, new)
    lengths: dict[str, int] = {}
    lists = []
    for path in sorted(folder.rglob("*.avro")):
        with _explained(path), path.open("rb") as file:
            kind = _schema(open_avro(file))["name"]
        if kind == _LIST:
            lists.append(path)
        elif kind == _MANIFEST:
            _rewrite(path, moved)
            lengths[f"{new}/{path.relative_to(folder).as_posix()}"] = path.stat().st_size
    for path in lists:
        _rewrite(path, lambda record: _with_length(moved(record), lengths))
    for path in sorted(folder.rglob("*.metadata.json")):
        replace_text(path, json.dumps(moved(_json(path))))


def require_own_files(folder: Path, catalog: Path, *, named: Path) -> None:
    """Raise LakeDamageError if the metadata below ``folder`` names a file outside of the lake.

    ``named`` is the folder as the metadata names it.
    """
    for path in sorted(folder.rglob("*.avro")):
        for record in _records(path):
            _require_below(record, named)
    for path in sorted(folder.rglob("*.metadata.json")):
        _require_below(_json(path), named)
    with _explained(catalog), closing(connect(catalog)) as connection:
        for column in ("metadata_location", "previous_metadata_location"):
            rows = connection.execute(f"select {column} from iceberg_tables").fetchall()  # noqa: S608 -- constants
            for (location,) in rows:
                _require_below({column: location}, named)


def _require_below(value: Any, folder: Path) -> None:
    for location in locations_in(value):
        require_inside(location, folder)


def relocate_catalog(catalog: Path, *, old: Path, new: Path) -> None:
    """Let a catalog (SQLite) name the metadata in the new folder.

    The checksums of the metadata are dropped: the files were rewritten, and get new ones at the
    next commit.
    """
    moved = _mover(old, new)
    with closing(connect(catalog)) as connection, connection:
        connection.execute(DROP_CHECKSUMS)
        for table, column in _CATALOG_COLUMNS:
            rows = connection.execute(f"select rowid, {column} from {table}").fetchall()  # noqa: S608 -- constants
            connection.executemany(
                f"update {table} set {column} = ? where rowid = ?",  # noqa: S608 -- as above
                [(moved(value), number) for number, value in rows if moved(value) != value],
            )


def local_path(location: str) -> Path:
    """Return the path of a location on this machine."""
    scheme = next(scheme for scheme in _SCHEMES if location.startswith(scheme))
    return Path(location.removeprefix(scheme))


def _mover(old: Path | str, new: Path | str) -> Moved:
    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return _moved_text(value, str(old), str(new))
        if isinstance(value, Mapping):
            return {name: moved(member) for name, member in value.items()}
        if isinstance(value, list):
            return [moved(member) for member in value]
        return value

    return moved


def _moved_text(text: str, old: str, new: str) -> str:
    for scheme in ("",) if "://" in old else _SCHEMES:
        start = scheme + old
        if text == start or text.startswith(start + "/"):
            return _location(scheme, old, new) + text[len(start) :]
    return text


def _location(scheme: str, old: str, new: str) -> str:
    """Return how the new place is written where the old one was written with this scheme."""
    if "://" in new:
        return new
    return f"file://{new}" if "://" in old else scheme + new


def _with_length(record: dict[str, Any], lengths: Mapping[str, int]) -> dict[str, Any]:
    location = record["manifest_path"]
    length = lengths.get(location if location in lengths else str(local_path(location)))
    return record if length is None else {**record, "manifest_length": length}


def _rewrite(path: Path, changed: Callable[[Any], Any]) -> None:
    with _explained(path), path.open("rb") as file:
        reader = open_avro(file)
        schema, codec = _schema(reader), reader.codec
        properties = {
            name: value for name, value in reader.metadata.items() if not name.startswith("avro.")
        }
        records = [changed(record) for record in reader]
    with replacing(path) as file:
        fastavro.writer(file, schema, records, codec=codec, metadata=properties)


def _schema(reader: Any) -> dict[str, Any]:
    schema: Any = reader.writer_schema
    return dict(schema)


def _records(path: Path) -> Iterator[Any]:
    with _explained(path), path.open("rb") as file:
        yield from open_avro(file)


def _json(path: Path) -> Any:
    with _explained(path):
        return parse_json(read_file(path, limit=METADATA_BYTES))


def _require(known: dict[str, int], location: str, size: int | None) -> Path | None:
    """Return the file's path where it was not looked at yet; raise where it is not right."""
    path = local_path(location)
    if str(path) in known:
        return None
    try:
        found = path.stat().st_size
    except OSError as error:
        raise damaged_file(path, error.strerror or str(error)) from error
    if size is not None and found != size:
        raise damaged_file(path, f"{found} bytes instead of {size}")
    known[str(path)] = found
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a reader raises for a damaged file into IntegrityError."""
    try:
        yield
    except AnalyticsError:
        raise
    except Exception as error:  # a library raises anything at damaged input
        raise damaged_file(path, f"{type(error).__name__}: {error}") from error
