"""What the server process does once, so that no forked child has to: imports, and dbt's parsing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dbt.adapters.duckdb.impl
import dbt.cli.main
import duckdb
import pyarrow.parquet
import pyiceberg.catalog.sql

from annals.settings import load_settings
from tests.servers.forking import parse_project
from tests.sweep import stages

TIMEZONE = "Europe/Berlin"
"""The zone of the states that are swept; dbt parses the project again for another one."""

IMPORTED = (dbt, duckdb, pyarrow, pyiceberg, stages)

with tempfile.TemporaryDirectory() as _folder:
    parse_project(load_settings(annals_home=Path(_folder), timezone=TIMEZONE))
