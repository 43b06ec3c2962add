"""``python -m flows.prefect deploy``, ``server``, ``worker [NAME]``, ``run FLOW/DEPLOYMENT``.

Each takes ``--env-file FILE``, the settings file to read.

The name of this module matters: children of the fork server import the main module again, unless
it is called ``__main__``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from annals.errors import UsageError
from annals.prefect_api import client_variables
from annals.process.environments import child_environment, module_command, work_folder
from annals.process.program import exit_code_of
from annals.settings import load_settings
from annals.settings.files import take_file_option

HEARTBEAT_SECONDS = 30  # the least that Prefect allows
QUERY_SECONDS = 10  # the server reports runs; this is for those of which it does not


def main() -> int:
    """Run the command that the arguments name; return its exit code."""
    return exit_code_of(lambda: _command(*take_file_option(sys.argv[1:])))


def _command(name: str = "", *words: str) -> None:
    commands: dict[str, Callable[..., None]] = {
        "deploy": _deploy,
        "run": _run,
        "server": _serve,
        "worker": _work,
    }
    if name not in commands or not _takes(name, len(words)):
        hint = (
            "Name one of: deploy, worker [NAME], server, run FLOW/DEPLOYMENT [--param NAME=VALUE]."
        )
        raise UsageError("which command?", hint=hint)
    commands[name](*words)


def _takes(name: str, words: int) -> bool:
    """Return whether the command takes so many further words."""
    known = {"deploy": words == 0, "worker": words <= 1, "run": words >= 1, "server": True}
    return known[name]


def _deploy() -> None:
    from flows.prefect.reaching import reach

    settings = load_settings()
    reach(settings)
    from flows.prefect.deployments import deploy

    for line in deploy(settings):
        sys.stdout.write(f"{line}\n")


def _serve(*options: str) -> None:
    """Run Prefect's server, with ``--host`` and ``--port``."""
    from flows.prefect.server import serve

    settings = load_settings()
    os.chdir(work_folder(settings.annals_home))
    serve(settings, *options)


def _run(*asked: str) -> None:
    """Become Prefect's own command, on the server of our settings, which waits for the run."""
    from flows.prefect.reaching import reach

    settings = load_settings()
    reach(settings)
    from flows.prefect.deployments import check_run

    check_run(*asked)
    words = module_command("prefect", "deployment", "run", "--watch", *asked)
    os.chdir(work_folder(settings.annals_home))
    environment = child_environment(client_variables(settings))
    os.execve(sys.executable, words, environment)  # noqa: S606 - no shell


def _work(name: str | None = None) -> None:
    from flows.prefect.reaching import reach

    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", str(QUERY_SECONDS))
    settings = load_settings()
    reach(settings)
    os.chdir(work_folder(settings.annals_home))
    from flows.prefect import engine

    engine.prepare()
    import anyio

    from flows.prefect.worker import POOL, WarmWorker, wait_for_pool

    wait_for_pool()
    anyio.run(WarmWorker(POOL, name=name, create_pool_if_not_found=False).serve)


if __name__ == "__main__":
    sys.exit(main())
