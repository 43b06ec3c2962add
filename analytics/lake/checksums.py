"""Checksums of the lake's metadata: what was committed is compared before it is believed again.

Iceberg's manifests and manifest lists carry no checksums: a flipped bit can drop a data file from
the table without any error. So the catalog file also holds a table of checksums, by the file's name
below the lake's folder. It is a note beside the lake: a file without one is read as it is, and gets
one at the next commit.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analytics.errors import LakeDamageError
from analytics.lake.content import hash_file, local_path

_TABLE = "annals_checksums"
_MAKE = f"create table if not exists {_TABLE} (name text primary key, digest text not null)"
DROP_CHECKSUMS = f"drop table if exists {_TABLE}"
"""For whoever rewrites the metadata: files without a checksum are read as they are."""

_BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Checksums:
    """The checksums in the catalog file ``catalog`` of the lake in ``folder``.

    ``catalog`` is None if the catalog is a server or a database: then nothing is noted.
    """

    catalog: Path | None
    folder: Path

    def note(self, locations: Iterable[str]) -> None:
        """Note the checksums of files that have none yet; a busy catalog is left as it is."""
        known = self.noted()
        rows = []
        for location in dict.fromkeys(locations):
            path = local_path(location)
            name = self._name(path)
            if path is not None and name is not None and name not in known:
                with contextlib.suppress(OSError):
                    rows.append((name, hash_file(path)))
        if rows:
            self._write(rows)

    def renew(self) -> None:
        """Forget all checksums: the files were rewritten."""
        self._write([], delete=True)

    def noted(self) -> dict[str, str]:
        """Return the checksum of each file, by its name below the lake's folder."""
        if self.catalog is None or not self.catalog.exists():
            return {}
        with contextlib.suppress(sqlite3.Error), self._open("ro") as connection:
            return dict(connection.execute(f"select name, digest from {_TABLE}"))  # noqa: S608 -- a constant
        return {}

    def require(self, locations: Iterable[str]) -> None:
        """Raise LakeDamageError (exit 9) naming the first file that has changed or is missing."""
        known = self.noted()
        for location in locations:
            if known and (why := self._difference(location, known)):
                raise damaged_file(local_path(location), why)

    def _difference(self, location: str, known: dict[str, str]) -> str | None:
        path = local_path(location)
        wanted = known.get(self._name(path) or "")
        if path is None or wanted is None:
            return None
        try:
            return None if hash_file(path) == wanted else "its content changed since it was written"
        except OSError as error:
            return error.strerror or str(error)

    def _name(self, path: Path | None) -> str | None:
        if path is None or not path.is_relative_to(self.folder):
            return None
        return path.relative_to(self.folder).as_posix()

    def _write(self, rows: list[tuple[str, str]], *, delete: bool = False) -> None:
        if self.catalog is None or not self.catalog.exists():
            return
        with contextlib.suppress(sqlite3.Error), self._open("rw") as connection, connection:
            connection.execute(_MAKE)
            if delete:
                connection.execute(f"delete from {_TABLE}")  # noqa: S608 -- a constant
            connection.executemany(
                f"insert or ignore into {_TABLE} values (?, ?)",  # noqa: S608 -- a constant
                rows,
            )

    @contextlib.contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(bytes(self.catalog or Path()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)
        with contextlib.closing(connection):
            yield connection


def metadata_files(table: Any) -> Iterator[str]:
    """Yield the locations that a table is read from, each before what it names is read.

    ``table`` is Iceberg's; reading its manifest list raises what the library raises.
    """
    yield table.metadata_location
    if snapshot := table.current_snapshot():
        yield snapshot.manifest_list
        yield from (manifest.manifest_path for manifest in snapshot.manifests(table.io))


def damaged_file(path: object, why: str) -> LakeDamageError:
    """Return the error for a file of the lake that is missing or not what was written."""
    return LakeDamageError(
        f"the lake's file {path} is missing or damaged: {why}",
        hint="Run `annals repair`; what it cannot repair, restore from a backup of the lake."
        " Nothing was changed.",
        path=path,
    )
