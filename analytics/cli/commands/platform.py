"""``annals up`` and ``annals down``: the platform as processes of this machine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from analytics.cli.destinations import confirm_destinations
from analytics.cli.effective_settings import Uses, configured
from analytics.cli.options import AsJson, example
from analytics.cli.output import tell

if TYPE_CHECKING:
    from annals.settings import Settings
    from operations.services import State

Detach = Annotated[
    bool, typer.Option("--detach", "-d", help="Return when all of it is healthy; it stays.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="What the services say goes to the log file alone.")
]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds to wait for it.")]


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    app.command(**example("annals up --detach"))(up)
    app.command(**example("annals down"))(down)


def up(
    context: typer.Context,
    detach: Detach = False,
    timeout: Timeout = 180,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Start all services on this machine and keep them running.

    These are agent, Prefect server, worker and dbt docs. Without Docker and without any other
    server. In the foreground it shows what all of them say, until Ctrl-C ends them in order. Where
    it runs already it says how it stands. Needs Prefect (`make platform`). Exit code 6: with
    --detach, not healthy within --timeout; it goes on trying.
    """
    from annals.locks import held_by
    from annals.settings.destinations import KINDS
    from flows.running_services import lock_of, read_state
    from operations import services as local

    settings = configured(context)
    if held_by(lock_of(settings)) is not None:
        tell("note: it runs already; `annals down` ends it")
        state = read_state(settings)
        if state is not None:
            _show(settings, state, as_json=as_json)
        return
    confirm_destinations(settings, *KINDS)
    if detach:
        from operations.services.detaching import start_detached

        _show(settings, start_detached(settings, timeout=timeout, tell=tell), as_json=as_json)
    else:
        show = partial(_show, settings, as_json=as_json)
        local.up(settings, show=show, quiet=quiet)


def down(context: typer.Context, timeout: Timeout = 120, as_json: AsJson = False) -> None:
    """Stop what `annals up` started.

    Data, settings and the record of all runs stay. A pipeline run under way is ended; nothing is
    lost, and the next run finishes what it began.
    """
    from analytics.cli.output import print_json, say
    from operations import services as local

    stopped = local.down(configured(context, uses=Uses.REPORTS), timeout=timeout)
    if as_json:
        print_json({"stopped": stopped})
    else:
        say(f"stopped: {', '.join(stopped)}" if stopped else "it does not run")


def _show(settings: Settings, state: State, *, as_json: bool) -> None:
    """Print how each service stands."""
    import sys

    from analytics.cli.output import as_members, print_json, say
    from annals.prefect_api import login_file
    from flows.running_services import log_of

    login = login_file(settings)
    if as_json:
        places = {"log": str(log_of(settings)), "login": str(login) if login.exists() else None}
        print_json({"healthy": state.is_healthy, **as_members(state), **places})
    else:
        for service in state.services:
            say(f"{service.name:<8} {service.state:<9} {service.address}".rstrip())
        say(f"log      {log_of(settings)}")
        if login.exists():
            say(f"login    {login} (what the Prefect UI asks for)")
    sys.stdout.flush()
