"""Put the very bytes of a damaged data file back, if they can be had: no snapshot changes then.

A data file carries the hash of its bytes in its name. The same rows give the same bytes, so rows
from whole copies are encoded again and compared with that hash.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
from pyiceberg.conversions import from_bytes
from pyiceberg.types import PrimitiveType

from annals.files import make_folder, replacing, set_aside
from annals.lake.content import content_hash, named_hash
from annals.lake.damage import data_file_place, live_files
from annals.limits import TooLargeError, copy_bounded, read_bounded
from annals.records.columns import FIRST_COLUMNS
from extractors.files import write_parquet
from extractors.lake.table import Lake
from extractors.salvage import salvage_rows

_CHARACTERS = 16
LARGEST_FILE_BYTES = 4 * 1024**3
"""No data file that the lake is written in has more; an object of another size is not a copy."""

"""So much of a text is in a manifest's least and greatest values."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows a data file has, as its manifest says: of which agents, from which seq to which.

    A bound is None if the manifest does not say it.
    """

    first_agent: str | None
    last_agent: str | None
    first_seq: int | None
    last_seq: int | None

    def has(self, agent_id: str, seq: int) -> bool:
        """Return whether a row at this position can be in the file."""
        agent = agent_id[:_CHARACTERS]
        return (
            (self.first_agent is None or agent >= self.first_agent[:_CHARACTERS])
            and (self.last_agent is None or agent <= self.last_agent)
            and (self.first_seq is None or seq >= self.first_seq)
            and (self.last_seq is None or seq <= self.last_seq)
        )


def spans(lake: Lake, places: Iterable[str]) -> dict[str, Span]:
    """Return the span of each of these data files, by its place."""
    schema, wanted = lake.table.schema(), set(places)

    def bound(bounds: dict[int, bytes] | None, name: str) -> Any:
        field = schema.find_field(name)
        content = (bounds or {}).get(field.field_id)
        return (
            None
            if content is None
            else from_bytes(cast("PrimitiveType", field.field_type), content)
        )

    return {
        data_file_place(file.file_path): Span(
            bound(file.lower_bounds, "agent_id"),
            bound(file.upper_bounds, "agent_id"),
            bound(file.lower_bounds, "seq"),
            bound(file.upper_bounds, "seq"),
        )
        for file in live_files(lake.table)
        if data_file_place(file.file_path) in wanted
    }


def restore_rows(lake: Lake, name: str, rows: pa.Table) -> str | None:
    """Put a file of these rows in the place of a damaged one, if its bytes are the same.

    Return the new name of the damaged file (an empty text if there was none), or None if nothing
    was changed.
    """
    for schema in _earlier_schemas(lake.file_schema):
        encoded = pa.BufferOutputStream()
        write_parquet(encoded, rows, schema=schema)
        content = encoded.getvalue().to_pybytes()
        if named_hash(name) == content_hash([content]):
            return _replace(lake, name, io.BytesIO(content), len(content))
    return None


def _earlier_schemas(schema: pa.Schema) -> Iterator[pa.Schema]:
    """Yield the columns of data files: those of this version first, then those of older ones."""
    for columns in range(len(schema), FIRST_COLUMNS - 1, -1):
        yield pa.schema(schema.field(place) for place in range(columns))


def restore_copy(lake: Lake, name: str, copy: Path) -> str:
    """Put a copy of a data file, which has its hash, in the place of the damaged one.

    Return the new name of the damaged file (an empty text if there was none).
    """
    with copy.open("rb") as source:
        return _replace(lake, name, source, copy.stat().st_size)


def salvage(lake: Lake, name: str) -> list[dict[str, Any]]:
    """Return the rows of a damaged data file that match their ids, wherever the file is."""
    if "://" not in name:
        return salvage_rows(Path(name))
    try:
        with lake.table.io.new_input(name).open() as stream:
            content = read_bounded(cast("IO[bytes]", stream), limit=LARGEST_FILE_BYTES)
            return salvage_rows(pa.BufferReader(content))
    except (FileNotFoundError, TooLargeError):
        return []


def _replace(lake: Lake, name: str, source: IO[bytes], size: int) -> str:
    if "://" in name:
        return _replace_object(lake, name, source.read(size))
    path = Path(name)
    kept = str(set_aside(path)) if path.exists() else ""
    make_folder(path.parent)
    with replacing(path) as file:
        copy_bounded(source, file, limit=size)
    return kept


def _replace_object(lake: Lake, name: str, content: bytes) -> str:
    """Write an object again, in one step for its readers; keep a copy of the damaged one."""
    store, kept = lake.table.io, ""
    if store.new_input(name).exists():
        kept = f"{name}.damaged-{uuid.uuid4().hex[:8]}"
        with store.new_input(name).open() as stream, store.new_output(kept).create() as copy:
            copy_bounded(
                cast("IO[bytes]", stream), cast("IO[bytes]", copy), limit=LARGEST_FILE_BYTES
            )
    with store.new_output(name).create(overwrite=True) as target:
        target.write(content)
    return kept
