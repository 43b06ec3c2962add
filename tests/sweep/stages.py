"""The work that dies: every stage and every question about its results, as plain functions.

What else they import is imported once, in the server process that children are forked from.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import asdict
from typing import Any

from annals.settings import Settings
from extractors.extract import extract
from loaders.gold import gold_hashes
from loaders.load import load
from loaders.publish import publish
from loaders.transform import transform
from loaders.warehouse import connect, open_build
from sync_agent.agent.once import sync_once
from sync_agent.reading.ledger import custody


def sync(settings: Settings) -> None:
    """Read the transcripts into the buffer."""
    sync_once(settings)


def to_lake(settings: Settings) -> None:
    """Append what the buffer has."""
    extract(settings)


def to_warehouse(settings: Settings) -> None:
    """Make the lake's new files visible."""
    load(settings)


def to_gold(settings: Settings) -> None:
    """Build what is pending."""
    transform(settings)


def to_build(settings: Settings) -> None:
    """Publish what was built."""
    publish(settings)


def everything(settings: Settings) -> None:
    """Run all stages."""
    for stage in (sync, to_lake, to_warehouse, to_gold, to_build):
        stage(settings)


def buffered(settings: Settings) -> list[str]:
    """Return the sorted ids of all buffered entries and quarantined ranges, repeats included."""
    query = "select hex(entry_id) from records where record_kind <> 'file' order by 1"
    with sqlite3.connect(settings.sqlite_path) as connection:
        return [row[0].lower() for row in connection.execute(query)]


def ledger(settings: Settings) -> dict[str, Any]:
    """Return the byte ledger."""
    return asdict(custody(settings))


def in_lake(settings: Settings) -> list[str]:
    """Return the sorted ids of all entries and quarantined ranges of the lake, repeats included."""
    return _ids(settings, "select entry_id from raw.records where record_kind <> 'file' order by 1")


def in_bronze(settings: Settings) -> list[str]:
    """Return the sorted ids of bronze, repeats included."""
    return _ids(settings, "select entry_id from bronze.stg_claude_code__entries order by 1")


def gold(settings: Settings) -> dict[str, str]:
    """Return an order-free hash of every gold table of the warehouse."""
    with connect(settings) as connection:
        return dict(gold_hashes(connection))


def published(settings: Settings) -> int:
    """Return the rows of the published daily usage; raises where a build is not whole."""
    with contextlib.closing(open_build(settings)) as connection:
        names = connection.sql("select view_name from duckdb_views() where schema_name = 'gold'")
        return sum(
            connection.sql(f"select count(*) from gold.{name}").fetchall()[0][0]
            for (name,) in names.fetchall()
        )


def _ids(settings: Settings, query: str) -> list[str]:
    with connect(settings) as connection:
        return [row[0] for row in connection.execute(query).fetchall()]
