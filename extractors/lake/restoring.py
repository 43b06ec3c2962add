"""Put the very bytes of a damaged data file back, if they can be had: no snapshot changes then.

A data file carries the hash of its bytes in its name. The same rows give the same bytes, so rows
from whole copies are encoded again and compared with that hash.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
from pyiceberg.conversions import from_bytes
from pyiceberg.types import PrimitiveType

from analytics.files import replacing, set_aside
from analytics.lake.content import content_hash, local_path, named_hash
from analytics.lake.damage import live_files
from analytics.limits import copy_bounded
from extractors.files import write_parquet
from extractors.lake.table import Lake

_CHARACTERS = 16
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


def spans(lake: Lake, paths: Iterable[str]) -> dict[str, Span]:
    """Return the span of each of these local data files, by its path."""
    schema, wanted = lake.table.schema(), set(paths)

    def bound(bounds: dict[int, bytes] | None, name: str) -> Any:
        field = schema.find_field(name)
        content = (bounds or {}).get(field.field_id)
        return (
            None
            if content is None
            else from_bytes(cast("PrimitiveType", field.field_type), content)
        )

    return {
        str(local_path(file.file_path)): Span(
            bound(file.lower_bounds, "agent_id"),
            bound(file.upper_bounds, "agent_id"),
            bound(file.lower_bounds, "seq"),
            bound(file.upper_bounds, "seq"),
        )
        for file in live_files(lake.table)
        if str(local_path(file.file_path)) in wanted
    }


def restore_rows(lake: Lake, location: str, path: Path, rows: pa.Table) -> Path | None:
    """Put a file of these rows in the place of a damaged one, if its bytes are the same.

    Return the new name of the damaged file (``path`` itself if there was none), or None if
    nothing was changed.
    """
    encoded = pa.BufferOutputStream()
    write_parquet(encoded, rows, schema=lake.file_schema)
    content = encoded.getvalue().to_pybytes()
    if named_hash(location) != content_hash([content]):
        return None
    with _replacing(path) as (file, kept):
        file.write(content)
    return kept


def restore_copy(path: Path, copy: Path) -> Path:
    """Put a copy of a data file, which has its hash, in the place of the damaged one.

    Return the new name of the damaged file (``path`` itself if there was none).
    """
    with _replacing(path) as (file, kept), copy.open("rb") as source:
        copy_bounded(source, file, limit=copy.stat().st_size)
    return kept


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    kept = set_aside(path) if path.exists() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        yield file, kept
