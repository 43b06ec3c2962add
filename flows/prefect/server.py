"""Prefect's own server, closed to web pages and other users.

What this replaces is private to Prefect, so it belongs to the version that
requirements/platform.txt pins (docs/adr/0027).
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import urlsplit

from annals.errors import UsageError
from annals.guard import GuardedApplication, bound_names
from annals.prefect_api import make_login
from annals.settings import Settings
from annals.settings.destinations import apply_proxy

_PORT = 4200


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse in our words: what Prefect's command knows beyond these could open the server."""
        raise UsageError(
            f"the server cannot be started so: {message}", hint="Give --host HOST and --port PORT."
        )


def parse_options(options: Sequence[str]) -> Namespace:
    """Return ``host`` and ``port``; raise UsageError (exit 2) for anything else."""
    parser = _Parser(prog="server", add_help=False, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=_PORT)
    return parser.parse_args(options)


def server_variables(settings: Settings, *, port: int) -> dict[str, str]:
    """Return the variables that close the server: login, CSRF tokens, its own pages alone.

    Raises SettingsError (exit 3) where the login cannot be read.
    """
    login = make_login(settings)
    return {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_own_pages(port)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def _own_pages(port: int) -> list[str]:
    """Return the origins of the UI; PREFECT_UI_URL says where a container publishes it."""
    place = urlsplit(os.environ.get("PREFECT_UI_URL", ""))
    named = [f"{place.scheme}://{place.netloc}"] if place.hostname else []
    seen = place.port or port if place.hostname else port
    loopback = [f"http://127.0.0.1:{seen}", f"http://localhost:{seen}"]
    return [*dict.fromkeys([*loopback, *named])]


def serve(settings: Settings, *options: str) -> None:
    """Run the server until a signal asks for its end."""
    asked = parse_options(options)
    apply_proxy(settings)  # it is the server that notifies
    os.environ.update(server_variables(settings, port=asked.port))
    home = settings.annals_home / "prefect"
    os.environ.setdefault("PREFECT_HOME", str(home))
    database = f"sqlite+aiosqlite:///{os.environ['PREFECT_HOME']}/prefect.db"
    os.environ.setdefault("PREFECT_SERVER_DATABASE_CONNECTION_URL", database)

    from prefect.cli import _server_utils, app

    from flows.prefect import awakening

    awakening.install()
    run = vars(_server_utils)["uvicorn"].run
    hosts = bound_names(asked.host, settings.allowed_hosts)

    def run_guarded(*, app: Any, **options: Any) -> None:
        run(app=GuardedApplication(app, hosts=hosts), **options)

    vars(_server_utils)["uvicorn"] = SimpleNamespace(run=run_guarded)
    sys.argv[1:] = ["server", "start", "--host", asked.host, "--port", str(asked.port)]
    app()
