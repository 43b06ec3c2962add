"""The docs of the dbt models as one static page, and a server for it.

``python -m operations.dbt_docs`` builds the page from the project alone, without a warehouse, into
``ANNALS_HOME/docs`` and serves it; with ``--build-only`` it ends after the first.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from annals.errors import DependencyError, WarehouseError
from annals.files import make_folder
from annals.guard import bound_names
from annals.http_server import BoundedServer, GuardedHandler
from annals.process.environments import child_environment, module_command
from annals.process.program import exit_code_of
from annals.settings import Settings, load_settings
from annals.settings.files import use_settings_file
from loaders.dbt_project import PROJECT_FOLDER

_PAGE = "static_index.html"


def build(settings: Settings) -> Path:
    """Write the page, and return its path; one that is there is replaced at once.

    Raises WarehouseError where dbt finds something wrong with the project.
    """
    page = settings.annals_home / "docs" / "index.html"
    make_folder(page.parent)
    with tempfile.TemporaryDirectory(dir=page.parent) as folder:
        done = subprocess.run(  # noqa: S603 -- a fixed command
            _command(settings, Path(folder)),
            env=_environment(Path(folder)),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise WarehouseError(
                f"dbt cannot write its docs: {done.stdout.strip()[-400:]}",
                hint="`annals transform` says what is wrong with the project.",
            )
        made = Path(folder) / _PAGE
        text = made.read_text(encoding="utf-8")
        for path in (folder, str(PROJECT_FOLDER)):  # nobody's folders in a page for others
            text = text.replace(path, "dbt")
        made.write_text(text, encoding="utf-8")
        made.replace(page)
    return page


def serve(page: Path, *, host: str, port: int, allowed_hosts: str = "") -> BoundedServer:
    """Return a server of the page's folder, bound and not started yet.

    ``allowed_hosts`` are names it may be asked for beside those of the loopback address.

    Raises DependencyError (exit 4) where the port cannot be had.
    """
    handler = functools.partial(_Handler, directory=str(page.parent))
    try:
        server = BoundedServer((host, port), handler)
    except OSError as error:
        raise DependencyError(
            f"port {port} cannot be had: {error.strerror}",
            hint="Stop what uses it, or give another one with --port.",
        ) from error
    server.hosts = bound_names(host, allowed_hosts)
    return server


class _Handler(GuardedHandler, SimpleHTTPRequestHandler):
    def list_directory(self, path: Any) -> None:  # noqa: ARG002 -- the library's name
        """Show no folder: there is one page."""
        self.send_error(404)


def _command(settings: Settings, folder: Path) -> Sequence[str]:
    return (
        *module_command("dbt.cli.main", "--quiet", "--no-use-colors"),
        *("--log-level-file=none", f"--log-path={folder}", "docs", "generate"),
        *("--static", "--empty-catalog", "--no-version-check"),
        *(f"--project-dir={PROJECT_FOLDER}", f"--profiles-dir={PROJECT_FOLDER}"),
        *(f"--target={settings.dbt_target}", f"--target-path={folder}"),
        f'--vars={{"timezone": "{settings.timezone}"}}',
    )


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a dbt that sees an empty warehouse of its own."""
    return child_environment(
        {
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DUCKDB_PATH": str(folder / "analytics.db"),
        }
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the page and serve it until the process is stopped; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8686)
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--env-file", metavar="FILE", type=use_settings_file)
    given = parser.parse_args(arguments)

    def work() -> None:
        settings = load_settings()
        page = build(settings)
        sys.stderr.write(f"dbt docs: {page}\n")
        if not given.build_only:
            hosts = settings.allowed_hosts
            with serve(page, host=given.host, port=given.port, allowed_hosts=hosts) as server:
                server.serve_forever()

    return exit_code_of(work)


if __name__ == "__main__":
    sys.exit(main())
