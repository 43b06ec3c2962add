"""Flow runs as forked children of a process that has imported everything already.

Importing Prefect, Arrow, DuckDB and dbt takes longer than a pipeline with nothing new. The
standard library's fork server imports them once, and each flow run is a fork of it: a process of
its own, as isolated as one started afresh (docs/adr/0018).
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess, parent_process

PRELOADED = "flows.prefect.preloaded"


def prepare() -> None:
    """Start the fork server, in whose children flow runs are executed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    first = context.Process(target=_nothing)
    first.start()
    first.join()


def begin(flow_run_id: str, environment: Mapping[str, str], folder: str) -> BaseProcess:
    """Execute the flow run in a new child, with this environment and working folder."""
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_execute, args=(flow_run_id, dict(environment), folder))
    child.start()
    return child


def _nothing() -> None:
    """Do nothing: the first child is asked for only so that the fork server starts."""


def _execute(flow_run_id: str, environment: dict[str, str], folder: str) -> None:
    """Be what ``python -m prefect.engine`` is in a process started afresh."""
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["prefect.engine", flow_run_id]
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    try:
        sys.modules.pop("prefect.engine", None)
        runpy.run_module("prefect.engine", run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - where Prefect sends its last logs and events


def _end_with_the_worker() -> None:
    """End this process as a kill would when the worker is gone: nobody could cancel it any more."""
    worker = parent_process()
    if worker is not None:
        wait([worker.sentinel])
        os._exit(1)
