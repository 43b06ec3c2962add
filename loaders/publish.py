"""Publish: gold as immutable builds of Parquet files, and one link that names the current one.

A build is complete before the link is flipped to it, and it never changes afterwards; so readers
see one build, need no lock, and never stop the pipeline. A killed publish leaves at most a folder
that the next one removes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from annals import __version__
from annals.errors import WarehouseError
from annals.files import make_folder
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from loaders import build_checks, completeness, warehouse
from loaders.build_faults import build_errors
from loaders.builds import next_build, remove_old, remove_unfinished, utc_now
from loaders.gold import (
    GOLD,
    READING,
    SPLIT_TABLES,
    gold_tables,
    month_counts,
    month_filter,
    reading_tables,
    sort_key,
)
from loaders.moved_build import CATALOG, READING_CATALOG
from loaders.prices import PRICE_BOOK
from loaders.transform import GOLD_REVISION, TIMEZONE
from loaders.warehouse import Connection, quoted

_PUBLISHED_REVISION = "published_revision"
_PUBLISHED_BUILD = "published_build"


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What a publish did; ``build_id`` names the build that is current now.

    ``files_linked`` counts the files that were taken over from the build before.
    """

    build_id: str
    tables: int
    bytes_written: int
    files_linked: int
    published: bool


@dataclass(frozen=True, slots=True)
class _File:
    table: str
    month: str | None
    name: str
    rows: int
    is_linked: bool
    schema: str = GOLD


def publish(
    settings: Settings,
    *,
    progress: Progress = NO_PROGRESS,
    clock: Callable[[], datetime] = utc_now,
) -> PublishReport:
    """Publish gold as a new build, unless the current build shows this very revision of it.

    Raises WarehouseError where no gold exists yet or only a part of it, IntegrityError (exit 9)
    where gold lacks what bronze has, DiskFullError, LockedError (exit 7).
    """
    current = current_build(settings)
    with (
        build_errors(settings),
        warehouse.translated(settings.builds_folder),
        warehouse.connect(settings) as connection,
    ):
        revision = warehouse.state(connection, GOLD_REVISION)
        if revision is None:
            raise WarehouseError(
                "there is nothing to publish yet",
                hint="Run `annals transform` first, or `annals pipeline`.",
            )
        noted = warehouse.state(connection, _PUBLISHED_BUILD)
        previous = current if current and current.name == noted else None
        is_shown = warehouse.state(connection, _PUBLISHED_REVISION) == revision
        if previous and is_shown and build_checks.is_usable(connection, settings, previous):
            return PublishReport(previous.name, 0, 0, 0, published=False)
        warehouse.require_layers(connection)
        completeness.require_complete(connection)
        builds = settings.builds_folder / "builds"
        make_folder(builds)
        remove_unfinished(builds)
        build = next_build(builds, at_least=noted, clock=clock)
        files = _write_build(connection, build, previous, progress)
        _flip(settings, build)
        _note(connection, build, files, revision)
    remove_old(builds, build, previous=current, kept=settings.builds_kept)
    return _report(build, files)


def _report(build: Path, files: list[_File]) -> PublishReport:
    written = sum((build / file.name).stat().st_size for file in files if not file.is_linked)
    return PublishReport(
        build_id=build.name,
        tables=len({file.table for file in files if file.schema == GOLD}),
        bytes_written=written + sum((build / name).stat().st_size for name in _catalogs(build)),
        files_linked=sum(file.is_linked for file in files),
        published=True,
    )


def current_build(settings: Settings) -> Path | None:
    """Return the folder of the build that is current, or None where none is published."""
    folder = (settings.builds_folder / "current").resolve()
    return folder if (folder / CATALOG).exists() else None


def _write_build(
    connection: Connection, build: Path, previous: Path | None, progress: Progress
) -> list[_File]:
    """Write a whole build; where that fails nothing of it stays."""
    folder = build.with_name(build.name + ".tmp")
    try:
        folder.mkdir()
        files = _write(connection, folder, previous, progress)
        _sync(folder)
        folder.rename(build)
        _sync(build.parent)
        _write_catalogs(connection, build, files)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(build, ignore_errors=True)
        raise
    return files


def _write(
    connection: Connection, folder: Path, previous: Path | None, progress: Progress
) -> list[_File]:
    files: list[_File] = []
    tables = gold_tables(connection)
    connection.execute("set preserve_insertion_order = true")  # the same rows give the same file
    for done, table in enumerate(tables):
        progress.report("publish", done, len(tables), unit="tables")
        if table in SPLIT_TABLES:
            files.extend(_write_months(connection, folder, table, previous))
        else:
            files.append(_write_file(connection, folder, table, None))
    files += [
        _write_file(connection, folder, table, None, schema=READING)
        for table in reading_tables(connection)
    ]
    connection.execute("set preserve_insertion_order = false")
    progress.report("publish", len(tables), len(tables), unit="tables")
    return files


def _write_months(
    connection: Connection, folder: Path, table: str, previous: Path | None
) -> Iterator[_File]:
    """Write the months that changed and link the others from the build before."""
    counts = month_counts(connection, table)
    if not counts:
        yield _write_file(connection, folder, table, None)
        return
    unchanged = _unchanged(connection, table, counts) if previous else {}
    for month, rows in counts.items():
        name = unchanged.get(month)
        is_whole = previous and name and build_checks.is_whole(connection, previous, name)
        if previous and name and is_whole and _link(previous / name, folder / name):
            yield _File(table, month, name, rows, is_linked=True)
        else:
            yield _write_file(connection, folder, table, month)


def _unchanged(connection: Connection, table: str, counts: dict[str, int]) -> dict[str, str]:
    """Return the months that the published files show as they are now, with their file names."""
    touched = connection.execute(
        "select distinct month from meta.changed_months where table_name = ?", [table]
    ).fetchall()
    changed = {month for (month,) in touched}
    if None in changed:
        return {}
    published = connection.execute(
        "select month, row_count, file_name from meta.published_files"
        " where table_name = ? and month is not null",
        [table],
    ).fetchall()
    return {
        month: name
        for month, rows, name in published
        if month not in changed and counts.get(month) == rows
    }


def _link(source: Path, target: Path) -> bool:
    """Share a file with the build before; return False where the file system cannot."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _write_file(
    connection: Connection, folder: Path, table: str, month: str | None, *, schema: str = GOLD
) -> _File:
    name = f"{table}.{month}.parquet" if month else f"{table}.parquet"
    name = name if schema == GOLD else f"{schema}.{name}"
    condition = month_filter(month) if month else "true"
    path = folder / name
    row = connection.execute(
        f"copy (select * from {schema}.{table} where {condition} order by {sort_key(table)})"  # noqa: S608 - names are our own
        # Of the levels the first takes a quarter less time, and its files are not larger.
        f" to {quoted(path)} (format parquet, compression zstd, compression_level 1)"
    ).fetchone()
    _sync(path)
    return _File(table, month, name, int(row[0]) if row else 0, is_linked=False, schema=schema)


def _write_catalogs(connection: Connection, build: Path, files: list[_File]) -> None:
    """Write the databases of views that readers open; every view names its own build's files."""
    if reading := [file for file in files if file.schema == READING]:
        unnamed = build / f"{READING_CATALOG}.tmp"
        with warehouse.views_file(unnamed) as catalog:
            _create_views(catalog, build, reading, schema="main")
        _sync(unnamed)
        unnamed.rename(build / READING_CATALOG)
    unnamed = build / f"{CATALOG}.tmp"
    with warehouse.views_file(unnamed) as catalog:
        catalog.execute("create schema gold")
        _create_views(catalog, build, [file for file in files if file.schema == GOLD], schema=GOLD)
        catalog.execute("create schema meta")
        catalog.execute(
            "create table meta.build as select ? as build_id, ? as gold_revision,"
            " ?::timestamptz as created_at, ? as timezone, ? as price_version, ? as annals_version",
            [
                build.name,
                warehouse.state(connection, GOLD_REVISION),
                datetime.now(UTC),
                warehouse.state(connection, TIMEZONE),
                warehouse.state(connection, PRICE_BOOK),
                __version__,
            ],
        )
    _sync(unnamed)
    unnamed.rename(build / CATALOG)
    _sync(build)


def _create_views(catalog: Connection, build: Path, files: Sequence[_File], *, schema: str) -> None:
    for table in sorted({file.table for file in files}):
        paths = ", ".join(quoted(build / file.name) for file in files if file.table == table)
        catalog.execute(
            f"create view {schema}.{table} as"  # noqa: S608 - names are our own
            f" select * from read_parquet([{paths}], hive_partitioning = false)"
        )


def _flip(settings: Settings, build: Path) -> None:
    """Make ``current`` name this build, in one step."""
    link = settings.builds_folder / "current"
    unnamed = settings.builds_folder / f"current.{build.name}"
    unnamed.symlink_to(Path("builds") / build.name, target_is_directory=True)
    unnamed.replace(link)
    _sync(settings.builds_folder)


def _note(connection: Connection, build: Path, files: list[_File], revision: str) -> None:
    with warehouse.transaction(connection):
        connection.execute("delete from meta.published_files")
        connection.executemany(
            "insert into meta.published_files values (?, ?, ?, ?)",
            [
                [file.table, file.month, file.name, file.rows]
                for file in files
                if file.schema == GOLD
            ],
        )
        build_checks.note_files(connection, build, _names(build, files))
        connection.execute("delete from meta.changed_months")
        completeness.forget_unproven(connection)
        warehouse.set_state(connection, _PUBLISHED_BUILD, build.name)
        warehouse.set_state(connection, _PUBLISHED_REVISION, revision)


def _names(build: Path, files: list[_File]) -> list[str]:
    return [*_catalogs(build), *(file.name for file in files)]


def _catalogs(build: Path) -> list[str]:
    return [name for name in (CATALOG, READING_CATALOG) if (build / name).exists()]


def _sync(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
