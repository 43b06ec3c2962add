"""What a process does before commands are forked from it, so that no thread is missed in them.

A fork copies only the thread that calls it. Code of the copy that waits for another thread never
returns: dbt's static parser has a pool of threads, and DuckDB's
package opens a database with one thread when it is imported.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annals.settings import Settings

HARMLESS = {"jemalloc_bg_thd"}
"""Threads of libraries that take care of a fork themselves."""


def parse_project(settings: Settings) -> None:
    """Parse the dbt project for the next command, and leave no thread of that to miss."""
    import duckdb

    from loaders import dbt_project

    with _parser_elsewhere():
        dbt_project.prepare(settings)
    duckdb.default_connection().execute("set threads = 1")


def other_threads() -> list[str]:
    """Return the names of the threads of this process, native ones too, but for its first one."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return []
    ids = {path.name for path in tasks.iterdir()} - {str(os.getpid())}
    names = [(tasks / one / "comm").read_text().strip() for one in sorted(ids)]
    return [name for name in names if name not in HARMLESS]


@contextlib.contextmanager
def _parser_elsewhere() -> Iterator[None]:
    """Have dbt's static parser run in another process, which keeps its threads."""
    from dbt.parser import models, unit_tests
    from dbt_extractor import ExtractionError

    with multiprocessing.get_context("spawn").Pool(1) as pool:

        def extract(source: str) -> Any:
            found = pool.apply(_extract, (source,))
            if found is None:
                raise ExtractionError
            return found

        original = models.py_extract_from_source
        models.py_extract_from_source = unit_tests.py_extract_from_source = extract
        try:
            yield
        finally:
            models.py_extract_from_source = unit_tests.py_extract_from_source = original
            pool.close()
            pool.join()


def _extract(source: str) -> Any:
    """Return what dbt's static parser finds; None if it leaves that to Jinja."""
    from dbt_extractor import ExtractionError, py_extract_from_source

    try:
        return py_extract_from_source(source)
    except ExtractionError:
        return None
