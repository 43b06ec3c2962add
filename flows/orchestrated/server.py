"""Prefect's own server, for a machine that has other things to do.

It looks for background work of its own four times a second, which is a quarter of what it costs at
rest; no setting says how often. What it does here is private to Prefect, so it belongs to the
version that requirements/platform.txt pins (docs/adr/0018).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from functools import partial

from docket import Worker
from prefect.cli import app
from prefect.server.api import background_workers

_REST = timedelta(seconds=1)


def serve(*options: str) -> None:
    """Run the server until a signal asks for its end; ``options`` are those of ``server start``."""
    vars(background_workers)["Worker"] = partial(
        Worker, minimum_check_interval=_REST, scheduling_resolution=_REST
    )
    sys.argv[1:] = ["server", "start", *options]
    app()
