"""Checksums of the lake's metadata: what was committed is compared before it is believed again.

Iceberg's manifests and manifest lists carry no checksums: a flipped bit can drop a data file from
the table without any error. So the catalog file also holds a table of checksums, by the file's name
below the lake's folder. It is a note beside the lake: a file without one is read as it is, and gets
one at the next commit.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from annals.errors import LakeDamageError
from annals.lake.content import hash_file, local_path

_TABLE = "annals_checksums"
_MAKE = f"create table if not exists {_TABLE} (name text primary key, digest text not null)"
DROP_CHECKSUMS = f"drop table if exists {_TABLE}"
"""For programs that rewrite the metadata: files without a checksum are read as they are."""

_BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Checksums:
    """The checksums in the catalog file ``catalog`` of the lake in ``folder``.

    ``catalog`` is None if the catalog is a server or a database: then nothing is noted.
    """

    catalog: Path | None
    folder: Path

    def note(self, locations: Iterable[str]) -> None:
        """Note the checksums of files that have none yet; a busy catalog is left as it is.

        Checksums of metadata files that Iceberg's library deleted after a commit are forgotten.
        """
        rows = []
        with self._noted() as noted:
            for location in dict.fromkeys(locations):
                path = local_path(location)
                name = self._name(path)
                if path is not None and name is not None and noted(name) is None:
                    with contextlib.suppress(OSError):
                        rows.append((name, hash_file(path)))
        if rows:
            self._write("insert or ignore into {table} values (?, ?)", rows)
            self._forget_deleted()

    def forget(self, locations: Iterable[str]) -> None:
        """Forget the checksums of files that were deleted."""
        names = (self._name(local_path(location)) for location in locations)
        self._write("delete from {table} where name = ?", [(name,) for name in names if name])

    def _forget_deleted(self) -> None:
        query = f"select name from {_TABLE} where name like '%.metadata.json'"  # noqa: S608 -- a constant
        with contextlib.suppress(sqlite3.Error):
            with self._open("ro") as connection:
                names = [name for (name,) in connection.execute(query)]
            gone = [(name,) for name in names if not (self.folder / name).exists()]
            if gone:
                self._write("delete from {table} where name = ?", gone)

    def renew(self) -> None:
        """Forget all checksums: the files were rewritten."""
        self._write("delete from {table} where name <> ?", [("",)])

    def require(self, locations: Iterable[str]) -> None:
        """Raise LakeDamageError (exit 9) naming the first file that has changed or is missing.

        Only the asked names are looked up: the cost does not follow the lake's history.
        """
        with self._noted() as noted:
            for location in locations:
                path = local_path(location)
                if why := _difference(path, noted(self._name(path) or "")):
                    raise damaged_file(path, why)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[Callable[[str], str | None]]:
        """Yield what looks up a file's checksum; None for a file without one."""
        if self.catalog is None or not self.catalog.exists():
            yield lambda _name: None
            return
        with self._open("ro") as connection:

            def look_up(name: str) -> str | None:
                with contextlib.suppress(sqlite3.Error):
                    query = f"select digest from {_TABLE} where name = ?"  # noqa: S608 -- a constant
                    row = connection.execute(query, (name,)).fetchone()
                    return str(row[0]) if row else None
                return None

            yield look_up

    def _name(self, path: Path | None) -> str | None:
        if path is None or not path.is_relative_to(self.folder):
            return None
        return path.relative_to(self.folder).as_posix()

    def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        if self.catalog is None or not self.catalog.exists():
            return
        with contextlib.suppress(sqlite3.Error), self._open("rw") as connection, connection:
            connection.execute(_MAKE)
            connection.executemany(statement.format(table=_TABLE), rows)

    @contextlib.contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(bytes(self.catalog or Path()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)
        with contextlib.closing(connection):
            yield connection


def _difference(path: Path | None, wanted: str | None) -> str | None:
    """Return why a file is not what was noted; None if it is, or if nothing was noted."""
    if path is None or wanted is None:
        return None
    try:
        return None if hash_file(path) == wanted else "its content changed since it was written"
    except OSError as error:
        return error.strerror or str(error)


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
