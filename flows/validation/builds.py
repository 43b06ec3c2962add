"""Check the published build and the warehouse: their files, and that they show the same gold."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from annals.errors import WarehouseError
from annals.settings import Settings
from flows.validation.checks import FAULTS_SHOWN, Check

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = "the published build can be read and shows its gold"
_REMEDY = "`annals pipeline` publishes a whole build"


def check_build(settings: Settings, *, deep: bool = False) -> Check:
    """Compare the build with what was published, and with gold.

    Files whose size and time are those of the publish are read again only if ``deep``; what is
    damaged then is noted, so that the next pipeline publishes a whole build.
    """
    from loaders.publish import current_build

    if not (settings.builds_folder / "current").is_symlink():
        return Check("build", SHOWN, skipped="nothing is published yet")
    build = current_build(settings)
    if build is None:
        fault = f"{settings.builds_folder / 'current'} names no whole build; {_REMEDY}"
        return Check("build", SHOWN, faults=(fault,))
    damaged = _damaged_files(settings, build, deep=deep)
    if damaged:
        faults = tuple(f"{fault}; {_REMEDY}" for fault in damaged)
        return Check("build", SHOWN, {"damaged": len(faults)}, faults[:FAULTS_SHOWN])
    try:
        return _compare(settings)
    except WarehouseError as error:
        return Check("build", SHOWN, faults=(f"{error.message}; {_REMEDY}",))


def check_warehouse(settings: Settings) -> Check:
    """Read everything in the warehouse; what is damaged is made again by the next pipeline."""
    from loaders.damaged import find_damage

    promise = "the warehouse can be read to its end"
    if not settings.warehouse_file.exists():
        return Check("warehouse", promise, skipped="there is no warehouse")
    found = find_damage(settings)
    faults = (f"{found}; `annals pipeline` makes it again from the lake",) if found else ()
    return Check("warehouse", promise, faults=faults)


def _damaged_files(settings: Settings, build: Path, *, deep: bool) -> tuple[str, ...]:
    from loaders import build_checks, warehouse

    if not settings.warehouse_file.exists():
        return ()
    with warehouse.connect(settings, read_only=True) as connection:
        faults = build_checks.build_faults(connection, build, deep=deep)
    if faults and deep:
        with warehouse.connect(settings) as connection:
            build_checks.note_damage(connection, build)
    return faults


def _compare(settings: Settings) -> Check:
    """Compare the rows of the build with those of gold, if both are of one revision."""
    from loaders import audit, warehouse

    with (
        warehouse.translated(settings.builds_folder / "current"),
        contextlib.closing(warehouse.open_build(settings)) as build,
    ):
        published = audit.gold_counts(build)
        shown = audit.build_revision(build)
    if not settings.warehouse_file.exists():
        return Check("build", SHOWN, published)
    with warehouse.connect(settings, read_only=True) as connection:
        same = audit.revision(connection) == shown
        expected = audit.gold_counts(connection) if same else published
    faults = [
        f"{table} has {published.get(table)} rows in the build, {number} in the warehouse"
        for table, number in expected.items()
        if published.get(table) != number
    ]
    return Check("build", SHOWN, published, tuple(faults))
