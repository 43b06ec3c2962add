"""Verify the lake's data files before DuckDB reads them: it checks neither ids nor checksums.

A file of ours carries the hash of its bytes in its name. Of another program's file every row is
compared with its id at first, and from then on its bytes with the hash that was noted. What was
verified is noted with size and time in ``meta.file_checks``; a file whose size or time is another
one by now is verified again.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from annals.errors import LakeDamageError
from annals.lake.checksums import damaged_file
from annals.lake.content import content_hash, hash_file, named_hash
from annals.lake.listing import list_objects
from annals.records.verification import has_id
from annals.settings import Settings
from loaders import build_checks
from loaders.warehouse import Connection, reading_file

_MAKE = """
create table if not exists meta.file_checks (
    file_path varchar not null, file_size bigint not null, mtime_ns bigint,
    content_hash varchar not null, checked_at timestamptz not null
);
alter table meta.file_checks add column if not exists etag varchar
"""
_ROWS = """
select entry_id, file_key, byte_offset, raw, raw_binary
from read_parquet(?, hive_partitioning = false)
"""
_KNOWN_FILES = """
select file_path, data_files.file_size, content_hash
from meta.data_files left join meta.file_checks using (file_path)
"""
_ROWS_AT_ONCE = 1_000
SWEPT_AFTER = timedelta(days=7)
"""A file is verified again by the sweep if that was not done for so long."""

SWEPT_BYTES_A_RUN = 32 * 1024 * 1024
"""More is not swept in one run: about 30 ms."""

_SWEPT = "swept"
_LISTED = "listed"
LISTED_A_RUN = 5_000
"""So many objects of a store are compared with their notes in one run: five requests."""

_NOTED_OBJECTS = """
select file_path, data_files.file_size, mtime_ns, content_hash, etag
from meta.data_files left join meta.file_checks using (file_path)
where contains(file_path, '://')
"""
_NANOSECONDS = 1_000_000_000
"""In a second: times of objects have whole ones."""

_Noted = tuple[str, int, int | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Check:
    """A file that was verified: its size, time and hash; for an object what its store lists."""

    file_path: str
    file_size: int
    mtime_ns: int | None
    content_hash: str
    etag: str | None = None


def make_table(connection: Connection) -> None:
    """Create the table of checks if an older program made this warehouse."""
    connection.execute(_MAKE)


def verify_new(connection: Connection, files: Iterable[tuple[str, int]]) -> int:
    """Verify files (path and size in the manifest) and note them; return their bytes.

    Raises LakeDamageError (exit 9) naming the first file that is missing or damaged.
    """
    checks = [_verified(connection, path, size, noted=None) for path, size in files]
    _note(connection, checks)
    return sum(check.file_size for check in checks)


def verify_changed(connection: Connection) -> int:
    """Verify the known local files that are gone or have another size or time; return the bytes.

    Raises as :func:`verify_new`. A file that was never verified counts by its size alone.
    """
    rows = connection.execute(
        "select file_path, data_files.file_size, mtime_ns, content_hash"
        " from meta.data_files left join meta.file_checks using (file_path)"
    ).fetchall()
    changed = []
    for path, size, mtime_ns, noted in rows:
        if "://" in path:
            continue
        found = _size_and_time(path)
        if found[0] != size or (mtime_ns is not None and found[1] != mtime_ns):
            changed.append(_verified(connection, path, size, noted=noted))
    _note(connection, changed)
    return sum(check.file_size for check in changed)


def verify_listed(connection: Connection, settings: Settings, *, limit: int = LISTED_A_RUN) -> int:
    """Verify the known objects of a store that are listed otherwise than noted; return their bytes.

    Size, time and ETag are compared, which a store gives with its listing. The folders of at most
    about ``limit`` files are listed, a request for each thousand; the next run goes on with the
    folders after them. A file without a note gets one by its size alone. Raises as
    :func:`verify_new`, and what an object store raises.
    """
    folders: dict[str, list[_Noted]] = {}
    for row in connection.execute(_NOTED_OBJECTS).fetchall():
        folders.setdefault(row[0].rpartition("/")[0], []).append(row)
    size = 0
    for folder in _next_folders(connection, folders, limit):
        size += _verify_folder(connection, settings, folder, folders[folder])
    return size


def _next_folders(
    connection: Connection, folders: Mapping[str, Sequence[object]], limit: int
) -> list[str]:
    """Return the folders of this run, and note the last one for the next."""
    names = sorted(folders)
    row = connection.execute("select value from meta.state where key = ?", [_LISTED]).fetchone()
    start = bisect_right(names, row[0]) if row and len(names) > 1 else 0
    taken: list[str] = []
    for name in names[start:] + names[:start]:
        if limit <= 0:
            break
        taken.append(name)
        limit -= len(folders[name])
    if len(taken) < len(names):
        connection.execute("delete from meta.state where key = ?", [_LISTED])
        connection.execute("insert into meta.state values (?, ?)", [_LISTED, taken[-1]])
    return taken


def _verify_folder(
    connection: Connection, settings: Settings, folder: str, files: Sequence[_Noted]
) -> int:
    """Verify what changed in a folder since it was noted; return the bytes that were read."""
    listed = dict(list_objects(settings, folder))
    known, verified = [], []
    for path, size, noted_time, noted_hash, noted_etag in files:
        found = listed.get(path)
        if found is None:
            raise damaged_file(path, "it is not in its folder any more")
        if found.size != size:
            raise damaged_file(path, f"{found.size} bytes instead of {size}")
        changed = found.changed_at * _NANOSECONDS
        is_same = noted_time == changed and noted_etag in (None, found.etag)
        if noted_hash is not None and (noted_time is None or is_same):
            if (noted_time, noted_etag) != (changed, found.etag):  # it was read a moment ago
                known.append(Check(path, size, changed, noted_hash, found.etag))
            continue
        check = _verified(connection, path, size, noted=noted_hash)
        verified.append(replace(check, mtime_ns=changed, etag=found.etag))
    _note(connection, [*known, *verified])
    return sum(check.file_size for check in verified)


def verify_all(connection: Connection) -> int:
    """Verify every known file, before everything is built from them; return their bytes."""
    make_table(connection)
    return _verify_known(connection, _known(connection))


def sweep(connection: Connection, *, bytes_per_day: int, build: Path | None = None) -> int:
    """Verify some files that were not verified for long; return their bytes.

    At most ``bytes_per_day`` a day, except for one file that is larger: those of the lake, and of
    the published ``build``, which has up to half of them. Raises LakeDamageError.
    """
    now = datetime.now(UTC)
    day = now.date().isoformat()
    noted_day, _, done = (_state(connection) or f"{day}:0").partition(":")
    left = min(bytes_per_day - (int(done) if noted_day == day else 0), SWEPT_BYTES_A_RUN)
    built = 0
    if build is not None and left > 0:
        built = build_checks.sweep(connection, build, before=now - SWEPT_AFTER, limit=left // 2)
        left -= built
    due = []
    for path, size, noted in _unverified(connection, now - SWEPT_AFTER, now):
        if left <= 0:
            break
        due.append((path, size, noted))
        left -= size
    if not due and not built:
        return 0
    swept = built + _verify_known(connection, due)
    total = swept + (int(done) if noted_day == day else 0)
    connection.execute("delete from meta.state where key = ?", [_SWEPT])
    connection.execute("insert into meta.state values (?, ?)", [_SWEPT, f"{day}:{total}"])
    return swept


def damaged_files(
    connection: Connection, files: Iterable[tuple[str, int]]
) -> list[LakeDamageError]:
    """Return an error for each of the files (path and size) that is missing or damaged."""
    found = []
    for path, size in files:
        try:
            _verified(connection, path, size, noted=None)
        except LakeDamageError as error:
            found.append(error)
    return found


def _state(connection: Connection) -> str | None:
    row = connection.execute("select value from meta.state where key = ?", [_SWEPT]).fetchone()
    return str(row[0]) if row else None


def _known(connection: Connection) -> list[tuple[str, int, str | None]]:
    return connection.execute(_KNOWN_FILES).fetchall()


def _unverified(
    connection: Connection, since: datetime, until: datetime
) -> list[tuple[str, int, str | None]]:
    """Return the files that were not verified in this time, least recently verified first."""
    return connection.execute(
        f"{_KNOWN_FILES} where checked_at is null or checked_at not between ? and ?"
        " order by checked_at nulls first, file_path",
        [since, until],
    ).fetchall()


def _verify_known(connection: Connection, files: Sequence[tuple[str, int, str | None]]) -> int:
    checks = [_verified(connection, path, size, noted=noted) for path, size, noted in files]
    _note(connection, checks)
    return sum(check.file_size for check in checks)


def _verified(connection: Connection, path: str, size: int, *, noted: str | None) -> Check:
    found_size, mtime_ns = _size_and_time(path) if "://" not in path else (size, None)
    if found_size != size:
        raise damaged_file(path, f"{found_size} bytes instead of {size}")
    content = _hash(connection, path)
    wanted = named_hash(path) or noted
    if wanted is None:
        _require_ids(connection, path)
    elif content != wanted:
        raise damaged_file(path, "its bytes do not have the hash that they were written with")
    return Check(path, size, mtime_ns, content)


def _hash(connection: Connection, path: str) -> str:
    if "://" in path:
        row = connection.execute("select content from read_blob(?)", [path]).fetchone()
        return content_hash([row[0] if row else b""])
    try:
        return hash_file(Path(path))
    except OSError as error:
        raise damaged_file(path, error.strerror or str(error)) from error


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - every load looks at every file
    except OSError as error:
        raise damaged_file(path, error.strerror or str(error)) from error
    return found.st_size, found.st_mtime_ns


def _require_ids(connection: Connection, path: str) -> None:
    """Compare each row of another program's file with its id."""
    wrong = rows = 0
    with reading_file(path):
        found = connection.execute(_ROWS, [path])
        while batch := found.fetchmany(_ROWS_AT_ONCE):
            rows += len(batch)
            wrong += sum(not _is_right(*row) for row in batch)
    if wrong:
        raise damaged_file(path, f"{wrong} of its {rows} rows do not match their ids")


def _is_right(
    entry_id: str, key: str | None, offset: int | None, text: str | None, binary: bytes | None
) -> bool:
    raw = binary if text is None else text.encode()
    return raw is not None and has_id(key or "", offset or 0, raw, entry_id)


def _note(connection: Connection, checks: Sequence[Check]) -> None:
    if not checks:
        return
    paths = [check.file_path for check in checks]
    connection.execute("delete from meta.file_checks where list_contains(?, file_path)", [paths])
    connection.execute(
        "insert into meta.file_checks"
        " select unnest(?), unnest(?), unnest(?), unnest(?), ?, unnest(?)",
        [
            paths,
            [check.file_size for check in checks],
            [check.mtime_ns for check in checks],
            [check.content_hash for check in checks],
            datetime.now(UTC),
            [check.etag for check in checks],
        ],
    )
