"""Verify the files of the published build: it is made from gold, so a damaged one is made again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from analytics.errors import WarehouseError
from analytics.lake.content import hash_file
from analytics.settings import Settings
from loaders import warehouse
from loaders.warehouse import Connection

_MAKE = """
create table if not exists meta.build_files (
    build_id varchar not null, file_name varchar not null, file_size bigint not null,
    mtime_ns bigint not null, content_hash varchar not null
)
"""


def note_files(connection: Connection, build: Path, names: Sequence[str]) -> None:
    """Note size, time and hash of the files of a build that was just written."""
    connection.execute(_MAKE)
    connection.execute("delete from meta.build_files")
    for name in sorted(set(names)):
        found = (build / name).stat()
        values = [build.name, name, found.st_size, found.st_mtime_ns, hash_file(build / name)]
        connection.execute("insert into meta.build_files values (?, ?, ?, ?, ?)", values)


def is_whole(connection: Connection, build: Path, name: str) -> bool:
    """Return whether a file of a build is what was written, before the next build shares it."""
    return not _faults(connection, build, deep=True, only=name)


def build_faults(connection: Connection, build: Path, *, deep: bool) -> tuple[str, ...]:
    """Return what is wrong with the files of a build: missing, or not what was written.

    A file with the size and the time that were noted is read again only if ``deep``. A build that
    nothing was noted of has no faults here.
    """
    return _faults(connection, build, deep=deep)


def _faults(
    connection: Connection, build: Path, *, deep: bool, only: str | None = None
) -> tuple[str, ...]:
    known = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'meta' and table_name = 'build_files'"
    ).fetchone()
    if not known:
        return ()
    faults = []
    rows = connection.execute(
        "select file_name, file_size, mtime_ns, content_hash from meta.build_files"
        " where build_id = ? and (? is null or file_name = ?) order by file_name",
        [build.name, only, only],
    ).fetchall()
    for name, size, mtime_ns, wanted in rows:
        path = build / name
        try:
            found = path.stat()
            is_same = (found.st_size, found.st_mtime_ns) == (size, mtime_ns)
            if (deep or not is_same) and hash_file(path) != wanted:
                faults.append(f"{path} is not what was published")
        except OSError as error:
            faults.append(f"{path}: {error.strerror}")
    return tuple(faults)


def is_usable(connection: Connection, settings: Settings, build: Path) -> bool:
    """Return whether a build is whole and names its files where they are; if not, make another."""
    if build_faults(connection, build, deep=False):
        return False
    try:
        with contextlib.closing(warehouse.open_build(settings)) as opened:
            return not warehouse.is_moved(opened)
    except WarehouseError:
        return False
