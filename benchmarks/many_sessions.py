"""Makes a published build of many sessions from that of the sample, without building it.

Every table has the columns and types of the real one; responses, sessions and projects are
multiplied. ``python -m benchmarks.many_sessions SESSIONS`` works with the settings in force.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import duckdb

from annals.settings import Settings, load_settings
from loaders.warehouse import Connection, quoted, views_file

_RESPONSES_EACH, _SESSIONS_A_PROJECT = 2, 10

_PROJECTS = f"""
    select * replace (
        'key-' || number as project_key, 'p' || number as project_name,
        '/home/u/p' || number as project_path)
    from (from gold.dim_projects order by all limit 1),
        range($sessions // {_SESSIONS_A_PROJECT} + 1) as numbers(number)
"""
_SESSIONS = f"""
    select * replace (
        format('{{:08x}}-0000-4000-8000-000000000000', number) as session_id,
        'key-' || number // {_SESSIONS_A_PROJECT} as project_key,
        started_at + to_minutes(number) as started_at, ended_at + to_minutes(number) as ended_at)
    from (from gold.dim_sessions where started_at is not null order by all limit 1),
        range($sessions) as numbers(number)
"""
_RESPONSES = f"""
    select * replace (
        format('{{:08x}}-0000-4000-8000-000000000000', number // {_RESPONSES_EACH}) as session_id,
        'key-' || number // {_RESPONSES_EACH * _SESSIONS_A_PROJECT} as project_key,
        occurred_at + to_minutes(number) as occurred_at,
        coalesce(cost_nano_usd, 0) + number % 1000 as cost_nano_usd)
    from (from gold.fct_api_responses where occurred_at is not null order by all limit 1),
        range($sessions * {_RESPONSES_EACH}) as numbers(number)
"""
_TABLES = {
    "dim_projects": _PROJECTS,
    "dim_sessions": _SESSIONS,
    "fct_api_responses": _RESPONSES,
}


def publish_many(settings: Settings, sessions: int) -> Path:
    """Publish a build of so many sessions beside the current one; return its folder."""
    link = settings.builds_folder / "current"
    current = link.resolve()
    build = current.with_name(f"{current.name[:-8]}{sessions:08d}")
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    for path in current.glob("*.parquet"):
        if path.name.split(".")[0] not in _TABLES:
            os.link(path, build / path.name)
    with duckdb.connect(str(current / "catalog.duckdb"), read_only=True) as source:
        for table, query in _TABLES.items():
            path = quoted(build / f"{table}.parquet")
            source.execute(f"copy ({query}) to {path} (format parquet)", {"sessions": sessions})
        _write_catalog(source, build)
    unnamed = link.with_name("current.many")
    unnamed.symlink_to(Path("builds") / build.name)
    unnamed.replace(link)
    return build


def _write_catalog(source: Connection, build: Path) -> None:
    """Write the same views as the current build's over the files of the new one."""
    views = source.execute("select view_name from duckdb_views() where schema_name = 'gold'")
    tables = [name for (name,) in views.fetchall()]
    kinds = source.execute("select column_name, column_type from (describe meta.build)").fetchall()
    columns = ", ".join(f"cast(? as {kind}) as {name}" for name, kind in kinds)
    facts = source.execute("from meta.build").fetchall()[0]
    with views_file(build / "catalog.duckdb") as catalog:
        catalog.execute("create schema gold")
        for table in tables:
            files = quoted(build / f"{table}.*parquet")
            catalog.execute(f"create view gold.{table} as from read_parquet({files})")
        catalog.execute("create schema meta")
        catalog.execute(f"create table meta.build as select {columns}", list(facts))


if __name__ == "__main__":
    publish_many(load_settings(), int(sys.argv[1]))
