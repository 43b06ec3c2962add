"""Verify the files of the published build: it is made from gold, so a damaged one is made again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from annals.errors import WarehouseError
from annals.lake.content import hash_file
from annals.settings import Settings
from loaders import warehouse
from loaders.warehouse import Connection

_MAKE = """
create table if not exists meta.build_files (
    build_id varchar not null, file_name varchar not null, file_size bigint not null,
    mtime_ns bigint not null, content_hash varchar not null
);
alter table meta.build_files add column if not exists checked_at timestamptz
"""
_CHECKED = "update meta.build_files set checked_at = ? where build_id = ? and file_name = ?"
_NOTE = "insert into meta.build_files values (?, ?, ?, ?, ?, ?)"
_DUE = """
select file_name, file_size, mtime_ns, content_hash from meta.build_files
where build_id = ? and mtime_ns >= 0
  and (checked_at is null or checked_at not between ? and ?)
order by checked_at nulls first, file_name
"""


def note_files(connection: Connection, build: Path, names: Sequence[str]) -> None:
    """Note size, time and hash of the files of a build that was just written."""
    connection.execute(_MAKE)
    connection.execute("delete from meta.build_files")
    for name in sorted(set(names)):
        found = (build / name).stat()
        values = [build.name, name, found.st_size, found.st_mtime_ns, hash_file(build / name)]
        connection.execute(_NOTE, [*values, datetime.now(UTC)])


def sweep(connection: Connection, build: Path, *, before: datetime, limit: int) -> int:
    """Read files of a build that were not read since ``before``; return their bytes.

    At most ``limit`` bytes, except for one file that is larger. Damage is noted, so that the next
    publish makes another build.
    """
    connection.execute(_MAKE)
    now, done = datetime.now(UTC), 0
    for name, size, _, wanted in connection.execute(_DUE, [build.name, before, now]).fetchall():
        if done >= limit:
            break
        done += int(size)
        if _differs(build / name, wanted):
            note_damage(connection, build)
            return done
        connection.execute(_CHECKED, [now, build.name, name])
    return done


def _differs(path: Path, wanted: str) -> bool:
    try:
        return hash_file(path) != wanted
    except OSError:
        return True


def note_damage(connection: Connection, build: Path) -> None:
    """Let the next publish read every file of this build again, and make another if it must."""
    connection.execute("update meta.build_files set mtime_ns = -1 where build_id = ?", [build.name])


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
